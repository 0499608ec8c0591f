"""How many clients may be connected, and what each of them may keep the server busy with."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from gateways import Gateway, gateway, settings, until
from wires import Wire, connected

from reelhook.bootstrap.descriptors import CONNECTIONS_MAX, RESERVE, connections_max
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError

KEY = "k" * 40
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SOON = 0.3
"""Seconds that nobody has to wait for long."""


def refused(server: Gateway) -> Sequence[str]:
    return [line["code"] for line in server.logs if line["event"] == "http.refused"]


async def status(wire: Wire) -> int | None:
    answer = await wire.answer()
    return None if answer is None else answer.status


async def test_beyond_the_limit_a_client_is_refused_until_another_leaves(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, connections_max=3) as server,
        AsyncExitStack() as stack,
    ):
        wires = [await stack.enter_async_context(connected(server.url)) for _ in range(3)]
        for wire in wires:
            await wire.send(HEAD + b"\r\n")
            assert await status(wire) == 200
        for _ in range(5):
            async with connected(server.url) as late:
                await late.send(HEAD + b"\r\n")
                answer = await late.answer()
                assert answer is not None
                assert answer.refusal == (503, "too_many_connections")
                assert answer.headers["retry-after"] == "5"
                assert "REELHOOK_CONNECTIONS_MAX" in answer.words
                assert await late.closed()
        assert refused(server) == ["too_many_connections"]  # and not five times
        wires[0].close()

        async def has_room() -> bool:
            async with connected(server.url) as one:
                await one.send(HEAD + b"\r\n")
                return await status(one) == 200

        assert await until(has_room)


async def test_a_crowd_beyond_the_limit_is_let_go(tmp_path: Path) -> None:
    async with gateway(tmp_path, connections_max=3) as server, AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(connected(server.url)) for _ in range(200)]
        replies = await asyncio.gather(*(wire.answer() for wire in crowd[3:]))
        assert all(one is None or one.refusal == (503, "too_many_connections") for one in replies)
        assert all(await asyncio.gather(*(wire.closed() for wire in crowd[3:])))
        await crowd[0].send(HEAD + b"\r\n")
        assert await status(crowd[0]) == 200


@pytest.mark.parametrize(
    ("files", "connections"),
    [
        (200, 100),
        (1024, 512),
        (4096, 4096 - RESERVE),
        (1_048_576, CONNECTIONS_MAX),
    ],
)
def test_descriptors_are_kept_for_the_engine(files: int, connections: int) -> None:
    assert connections_max(Settings.of(), files) == connections
    assert connections_max(Settings.of(connections_max=7), files) == 7


def test_more_connections_than_descriptors_stop_the_start_with_a_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        connections_max(Settings.of(connections_max=4000), 4096)
    assert "REELHOOK_CONNECTIONS_MAX is 4000" in caught.value.message
    assert "LimitNOFILE" in caught.value.message


async def test_what_follows_a_body_is_no_header_of_its_request(tmp_path: Path) -> None:
    body = json.dumps({"script": "A fox"}).encode()
    trailer = f"Authorization: Bearer {KEY}\r\n".encode()
    async with gateway(tmp_path, api_key=KEY) as server, connected(server.url) as wire:
        await wire.send(CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(body), body) + trailer + b"\r\n")
        assert await status(wire) == 401
        await wire.send(HEAD + b"\r\n")
        assert await status(wire) == 200


FRAMES = {
    "a trailer without an end": b"1\r\n{\r\n0\r\nA: " + b"a" * 10_000_000,
    "trailers without an end": b"1\r\n{\r\n0\r\n" + b"a: b\r\n" * 1_000_000,
    "a chunk's extension without an end": b"1;a=" + b"a" * 10_000_000,
    "extended chunks": (b"1;a=%b\r\n{\r\n" % (b"a" * 1000)) * 10_000,
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_body_that_is_hardly_more_than_framing_is_refused(
    tmp_path: Path, name: str
) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, connected(server.url) as wire:
        head = CHUNKED.replace(b"\r\n", f"\r\nAuthorization: Bearer {KEY}\r\n".encode(), 1)
        await wire.send(head + FRAMES[name])
        assert await wire.refusal() == (400, "malformed_request")


async def test_a_body_in_tiny_chunks_is_read_all_the_same(tmp_path: Path) -> None:
    body = json.dumps({"script": "A fox"}).encode() + b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with gateway(tmp_path) as server, connected(server.url) as wire:
        await wire.send(CHUNKED + chunks + b"0\r\n\r\n")
        assert await status(wire) == 200


@pytest.mark.long
async def test_the_rest_of_a_body_that_was_refused_is_not_read_for_long(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, connected(server.url) as wire:
        await wire.send(CHUNKED)
        assert await status(wire) == 401
        sending = asyncio.create_task(wire.send(b"10000\r\n%b\r\n" % bytes(0x10000) * 500))
        assert await wire.closed()  # and nothing that would be taken for another response
        await sending


async def test_a_client_that_takes_nothing_of_its_response_is_hung_up_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, transfer_seconds=SOON) as server:
        async with connected(server.url, SO_RCVBUF=4096) as wire:
            for _ in range(200):  # the kernel takes some megabytes for a client that does not
                await wire.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if "slow_reader" in refused(server):
                    break
                await asyncio.sleep(0.02)

            async def hung_up() -> bool:
                return "slow_reader" in refused(server)

            assert await until(hung_up)
        assert (await server.get("/healthz")).status == 200


async def test_embedding_changes_nothing_of_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reelhook  # noqa: PLC0415 - the library as its host sees it

    def never(*_: Any) -> None:
        raise AssertionError("the limit of open files is the host's")

    monkeypatch.setattr("resource.setrlimit", never)
    async with reelhook.open(settings(tmp_path, "http://127.0.0.1:9/v1")):
        pass
