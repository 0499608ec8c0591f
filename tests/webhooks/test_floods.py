"""A receiver that never stops sending, at full speed, costs little time and memory."""

import asyncio
import contextlib
import gzip
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from webhook_receivers import (
    CERTIFICATES,
    LOOPBACK,
    Behaviour,
    Receiver,
    receiver,
    request,
    server_tls,
)

from reelhook.webhooks.sender import AiohttpSender

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(20 * MIB))
A_LOT = b"x" * 65536
EXTENDED = b"1;" + b"a" * 90 + b"\r\nx\r\n"
FLOODS: dict[str, tuple[bytes, bytes, int | None, str]] = {
    # What comes first, what then comes without end, and how the attempt ends.
    "a length": (HEAD + b"Content-Length: 999999999999\r\n\r\n", A_LOT, 200, "body_too_large"),
    "no length": (HEAD + b"\r\n", A_LOT, 200, "body_too_large"),
    "chunks": (CHUNKED, b"8000\r\n" + bytes(0x8000) + b"\r\n", 200, "body_too_large"),
    "tiny chunks": (CHUNKED, b"1\r\nx\r\n" * 8192, 200, "body_too_large"),
    "a chunk's size": (CHUNKED, b"0" * 65536, 200, "body_too_large"),
    "a chunk's extension": (CHUNKED + b"1;", A_LOT, 200, "body_too_large"),
    "extended chunks": (CHUNKED, EXTENDED * 600, 200, "body_too_large"),
    "gzip": (
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n%b\r\n" % (len(BOMB), BOMB),
        200,
        "body_too_large",
    ),
    "headers": (HEAD, b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n" * 2000, None, "headers_too_large"),
    "a header": (HEAD + b"X: ", A_LOT, None, "headers_too_large"),
    "answers before": (b"", b"HTTP/1.1 102 P\r\n\r\n" * 3000, None, "headers_too_large"),
    "hints before": (
        b"",
        b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" * 3000,
        None,
        "headers_too_large",
    ),
    "empty lines": (b"", b"\r\n" * 32768, None, "headers_too_large"),
    "zeros": (b"", bytes(65536), None, "protocol"),
}
NAMES = list(FLOODS)


def flooding(first: bytes, then: bytes, *, seconds: float = 0.0) -> Behaviour:
    """Send without end; `seconds` lie between two pieces."""

    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(first)
        await writer.drain()
        while not writer.transport.is_closing():
            writer.write(then)
            await writer.drain()
            await asyncio.sleep(seconds)

    return behave


@pytest.mark.parametrize("name", NAMES)
async def test_a_flood_is_cut_off_long_before_the_time_limit(name: str) -> None:
    first, then, status, error = FLOODS[name]
    async with receiver(flooding(first, then)) as one, AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(one.url, timeout_seconds=60))
        await asyncio.wait_for(one.closed.wait(), 60)
    assert (answer.status, answer.error) == (status, error)
    assert answer.detail
    assert len(answer.body) <= 16384
    assert answer.duration_ms < 30_000  # milliseconds, unless the machine is busy
    assert one.connections == 1


async def test_trailers_without_end_are_cut_off() -> None:
    first, then = CHUNKED + b"1\r\nx\r\n0\r\n", b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n" * 2000
    async with receiver(flooding(first, then)) as one, AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(one.url, timeout_seconds=60))
    # Whether the head was read before them decides which.
    assert answer.error in {"protocol", "headers_too_large"}
    assert answer.duration_ms < 30_000  # milliseconds, unless the machine is busy


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux tells a process's peak"
)
@pytest.mark.long
async def test_an_attempt_costs_less_than_a_mebibyte_of_the_process_tls_included() -> None:
    async with AsyncExitStack() as stack:

        async def served(behave: Behaviour) -> str:
            one = await stack.enter_async_context(receiver(behave, server_tls("receiver")))
            return f"https://127.0.0.1:{one.port}/hook"

        floods = [await served(flooding(first, then)) for first, then, _, _ in FLOODS.values()]
        drip = await served(flooding(CHUNKED, b"1\r\nx\r\n", seconds=0.01))
        costs, (dripped,) = await asyncio.gather(
            many_attempts(floods, timeout_seconds=60), many_attempts([drip], timeout_seconds=0.2)
        )
    for name, cost in zip(NAMES, costs, strict=True):
        assert cost["bytes_each"] < MIB, name
        assert cost["errors"] == [FLOODS[name][3]], name
    assert dripped["bytes_each"] < MIB
    assert dripped["errors"] == ["timeout"]


async def many_attempts(
    urls: list[str], *, timeout_seconds: float, count: int = 24
) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).parent / "many_attempts.py")),
        *(str(count), str(timeout_seconds), str(CERTIFICATES / "authority.pem"), *urls),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return [json.loads(line) for line in out.splitlines()]
