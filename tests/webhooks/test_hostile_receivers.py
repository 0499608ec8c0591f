"""Each of these costs one bounded attempt, with an error class that a person understands."""

import asyncio
import contextlib
import gzip
import socket
import time
import tracemalloc
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from loop_clock import jump, others_go_on
from webhook_receivers import (
    LOOPBACK,
    Behaviour,
    Receiver,
    blasting,
    dripping,
    ok,
    receiver,
    request,
    reset,
    then_close,
    then_hang,
)

from reelhook.domain.delivery import WebhookResponse
from reelhook.guard.networks import IPAddress
from reelhook.webhooks.connection import KEEPALIVE_SECONDS
from reelhook.webhooks.sender import AiohttpSender

HEAD = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024
LIMIT = 4.0  # seconds, longer than any answer takes to arrive


async def attempt(
    behave: Behaviour, *, timeout_seconds: float = 5.0
) -> tuple[WebhookResponse, Receiver]:
    async with receiver(behave) as one, AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(one.url, timeout_seconds=timeout_seconds))
        await asyncio.wait_for(one.closed.wait(), 60)
    assert one.connections == 1
    assert (answer.error is None) == (answer.detail is None)
    return answer, one


# -- too slow -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behave", "status"),
    [
        (then_hang(b"", seconds=LIMIT), None),
        (then_hang(b"HTTP/1.1 20", seconds=LIMIT), None),
        (then_hang(HEAD + b"Content-Le", seconds=LIMIT), None),
        (dripping(HEAD, b"X: y\r\n", seconds=LIMIT), None),
        (dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n", seconds=LIMIT), None),
        (then_hang(HEAD + b"Content-Length: 9\r\n\r\nab", seconds=LIMIT), 200),
        (dripping(HEAD + b"Content-Length: 99999\r\n\r\n", b"x", seconds=LIMIT), 200),
        (
            dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", seconds=LIMIT),
            200,
        ),
        (
            dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x", seconds=LIMIT),
            200,
        ),
    ],
    ids=[
        *("silent", "half a status line", "half a header", "dripping headers", "endless 1xx"),
        *("half a body", "dripping body", "dripping chunks", "endless chunk extension"),
    ],
)
async def test_a_slow_receiver_is_given_up_in_time(behave: Behaviour, status: int | None) -> None:
    started = time.monotonic()
    answer, _ = await attempt(behave, timeout_seconds=LIMIT)
    took_ms = (time.monotonic() - started) * 1000
    assert (answer.status, answer.error) == (status, "timeout")
    assert LIMIT * 1000 <= answer.duration_ms <= LIMIT * 1000 + took_ms + 1


async def test_what_came_in_time_of_a_slow_body_is_kept() -> None:
    behave = then_hang(HEAD + b"Content-Length: 9\r\n\r\nab", seconds=LIMIT)
    answer, _ = await attempt(behave, timeout_seconds=LIMIT)
    assert answer.body == "ab"
    assert answer.succeeded


async def test_a_hanging_look_up_is_given_up_before_the_attempt_is() -> None:
    async def look_up(_: str) -> list[IPAddress]:
        await asyncio.Event().wait()
        raise AssertionError

    async with AiohttpSender(LOOPBACK, look_up=look_up, connect_seconds=0.05) as sender:
        answer = await sender.send(request("http://hooks.example.com/"))
    assert (answer.status, answer.error) == (None, "timeout")
    assert answer.detail == "No connection (DNS, TCP, TLS) within 0.05 s"


async def test_a_hanging_connect_is_given_up_before_the_attempt_is() -> None:
    looked_up = asyncio.Event()

    async def look_up(_: str) -> list[IPAddress]:
        jump(0.3 * LIMIT)  # counts in
        looked_up.set()
        return [ip_address("127.0.0.1"), ip_address("127.0.0.2")]

    started = time.monotonic()
    with deaf_port() as port:
        async with AiohttpSender(LOOPBACK, look_up=look_up, connect_seconds=LIMIT) as sender:
            url = f"http://hooks.example.com:{port}/"
            sending = asyncio.create_task(sender.send(request(url, timeout_seconds=60)))
            await looked_up.wait()
            await others_go_on()
            assert not sending.done()
            jump(0.7 * LIMIT)
            answer = await sending
    took_ms = (time.monotonic() - started) * 1000
    assert (answer.status, answer.error) == (None, "timeout")
    assert answer.detail == f"No connection (DNS, TCP, TLS) within {LIMIT:g} s"
    assert LIMIT * 1000 <= answer.duration_ms <= LIMIT * 1000 + took_ms + 1


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """Listen at a port whose queue is full, so that the system answers no further connect."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("0.0.0.0", 0))  # noqa: S104 - all of loopback is meant
        listening.listen(0)
        port: int = listening.getsockname()[1]
        for host in ("127.0.0.1", "127.0.0.2"):
            for _ in range(8):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((host, port))
        yield port


# -- too much -------------------------------------------------------------------------------------


CHUNK = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"


async def test_an_endless_body_is_cut_off() -> None:
    with blasting(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 64, times=10_000) as url:
        async with AiohttpSender(LOOPBACK) as sender:
            answer = await sender.send(request(url))
    assert (answer.status, answer.error, answer.body) == (200, "body_too_large", "x" * 16384)


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\x00" * 50 * MIB)
    assert len(bomb) < 64 * 1024
    headers = f"Content-Length: {len(bomb)}\r\nContent-Encoding: gzip\r\n\r\n".encode()
    answer, peak = await measured(HEAD + headers + bomb)
    assert (answer.status, answer.error) == (200, None)
    assert peak < MIB


@pytest.mark.parametrize(
    "payload",
    [
        HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 7500) for n in range(140)) + b"\r\n",
        HEAD + b"X: " + b"a" * MIB + b"\r\n\r\n",
        HEAD + b"a" * MIB + b": x\r\n\r\n",
        HEAD + b"".join(b"X%d: a\r\n" % n for n in range(100_000)) + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * MIB + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
        b"HTTP/1.1 103 E\r\nA: b\r\n\r\n" * 50_000,
    ],
    ids=[
        *("long lines", "one line", "one name", "short lines", "the reason"),
        *("answers before", "hints before"),
    ],
)
async def test_a_mebibyte_of_headers_is_cut_off_and_costs_less(payload: bytes) -> None:
    answer, peak = await measured(payload)
    assert (answer.status, answer.error) == (None, "headers_too_large")
    assert answer.detail
    assert peak < MIB


@pytest.mark.parametrize(
    "answer", [ok(b"thanks"), b"HTTP/1.1 204 No Content\r\n\r\n"], ids=["200", "204"]
)
async def test_answers_that_nobody_asked_for_are_not_kept(answer: bytes) -> None:
    extra = b"HTTP/1.1 204 No Content\r\n\r\n" * 40_000
    _, peak = await measured(answer + extra)
    assert peak < MIB


async def test_a_flood_into_a_pooled_connection_closes_it() -> None:
    async def flood(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(ok(b"thanks"))
        await answered.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert await reader.read() == b""

    answered = asyncio.Event()
    async with receiver(flood) as one, AiohttpSender(LOOPBACK) as sender:
        assert (await sender.send(request(one.url))).succeeded
        answered.set()
        # Long before an idle connection is closed in any case.
        await asyncio.wait_for(one.closed.wait(), KEEPALIVE_SECONDS / 2)


async def measured(payload: bytes) -> tuple[WebhookResponse, int]:
    """Send to a receiver that answers with these bytes; return the peak of memory on our side."""
    async with receiver(ok(b"thanks")) as one, AiohttpSender(LOOPBACK) as sender:
        await sender.send(request(one.url))  # what is made once is not this attempt's cost
        with blasting(payload) as url:
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                answer = await sender.send(request(url))
                for _ in range(20):
                    await asyncio.sleep(0.001)  # what still comes in is ours as well
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    return answer, peak - before


# -- not an answer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behave", "status", "error"),
    [
        (then_close(b""), None, "closed_early"),
        (then_close(b"HTTP/1.1 20"), None, "closed_early"),
        (then_close(HEAD + b"Content-Le"), None, "closed_early"),
        (then_close(HEAD + b"Content-Length: 9\r\n\r\nab"), 200, "closed_early"),
        (then_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nab"), 200, "closed_early"),
        (then_close(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "protocol"),
        (then_close(b"\x15\x03\x01\x00\x02\x02\x16"), None, "protocol"),
        (then_close(HEAD + b"Content-Length: -1\r\n\r\n"), None, "protocol"),
        (then_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), None, "protocol"),
    ],
    ids=[
        *("nothing", "half a status line", "half a header", "half a body", "half a chunk"),
        *("SSH", "TLS", "a negative length", "a garbled chunk"),
    ],
)
async def test_a_broken_answer_is_told(behave: Behaviour, status: int | None, error: str) -> None:
    answer, _ = await attempt(behave)
    assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize("status", ["000", "099"])
async def test_what_is_no_status_of_http_is_no_answer(status: str) -> None:
    answer, _ = await attempt(then_close(ok(b"", status=f"{status} OK")))
    assert (answer.status, answer.error) == (None, "protocol")
    assert "below 100" in (answer.detail or "")


async def test_a_chunk_that_is_garbled_behind_the_head_takes_no_yes_back() -> None:
    answer, _ = await attempt(pausing(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"))
    assert (answer.status, answer.error) == (200, "protocol")


async def test_a_reset_is_told() -> None:
    answer, _ = await attempt(pausing(b"", None))
    assert (answer.status, answer.error) == (None, "reset")


async def test_a_reset_within_the_body_takes_no_yes_back() -> None:
    answer, _ = await attempt(pausing(HEAD + b"Content-Length: 9\r\n\r\na", None))
    assert (answer.status, answer.error, answer.body) == (200, "closed_early", "a")


def pausing(first: bytes, then: bytes | None) -> Behaviour:
    """Let the first bytes be read before others follow; None resets, which overtakes bytes."""

    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(first)
        await asyncio.sleep(0.02)
        if then is None:
            reset(writer)
        else:
            writer.write(then)
            await reader.read()

    return behave
