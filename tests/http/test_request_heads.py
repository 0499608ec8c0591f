"""A request's head ends, in bytes and in seconds, before anyone asks for a key."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from gateways import Gateway, gateway
from wires import connected

KEY = "k" * 40
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LIMIT = 64 * 1024
SOON = 0.3
"""Seconds that nobody has to wait for long."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, api_key=KEY) as one:
        yield one


def refused(server: Gateway) -> Sequence[str]:
    return [line["code"] for line in server.logs if line["event"] == "http.refused"]


LONG = {
    "a URL": (b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "url_too_long"),
    "a URL without an end": (b"GET /" + b"a" * 20 * LIMIT, 414, "url_too_long"),
    "a query": (b"GET /?" + b"a=b&" * LIMIT + b" HTTP/1.1\r\n\r\n", 414, "url_too_long"),
    "a header": (HEAD + b"A: " + b"a" * LIMIT + b"\r\n\r\n", 431, "head_too_large"),
    "a header without an end": (HEAD + b"A: " + b"a" * 20 * LIMIT, 431, "head_too_large"),
    "a name without an end": (HEAD + b"a" * 20 * LIMIT, 431, "head_too_large"),
    "a few large headers": (HEAD + (b"A: " + b"a" * 9000 + b"\r\n") * 8, 431, "head_too_large"),
    "tiny headers": (HEAD + b"a: b\r\n" * 100 + b"\r\n", 431, "too_many_headers"),
    "tiny headers without an end": (HEAD + b"a:\r\n" * 20 * LIMIT, 431, "too_many_headers"),
}


@pytest.mark.parametrize("piece_bytes", [20_000_000, 5000], ids=["at once", "in pieces"])
async def test_a_head_beyond_its_limit_is_refused_and_the_client_can_read_why(
    server: Gateway, piece_bytes: int
) -> None:
    for name, (sent, *refusal) in LONG.items():
        async with connected(server.url) as wire:
            for start in range(0, len(sent), piece_bytes):
                await wire.send(sent[start : start + piece_bytes])
            assert await wire.refusal() == tuple(refusal), name


async def test_the_refusal_names_the_limit_and_the_setting(server: Gateway) -> None:
    async with connected(server.url) as wire:
        await wire.send(HEAD + b"A: " + b"a" * LIMIT + b"\r\n\r\n")
        answer = await wire.answer()
    assert answer is not None
    assert "64 KiB" in answer.words
    assert "REELHOOK_REQUEST_HEAD_KIB" in answer.words


async def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    head = HEAD + b"A: " + b"a" * LIMIT + b"\r\n\r\n"
    async with (
        gateway(tmp_path, request_head_kib=128) as server,
        connected(server.url) as wire,
    ):
        await wire.send(head)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 200


async def test_a_head_within_the_limit_is_read_however_it_comes(server: Gateway) -> None:
    head = HEAD + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 600) for n in range(98)) + b"\r\n"
    assert LIMIT * 0.9 < len(head) < LIMIT
    async with connected(server.url) as wire:
        for _ in range(3):  # the next one has the whole limit again
            for start in range(0, len(head), 7000):
                await wire.send(head[start : start + 7000])
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200


@pytest.mark.long
async def test_a_head_that_does_not_end_in_time_is_refused(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, request_head_seconds=SOON) as server,
        connected(server.url) as wire,
    ):
        await wire.send(HEAD)
        assert await wire.refusal() == (408, "request_head_timeout")
        assert refused(server) == ["request_head_timeout"]


async def test_a_client_that_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, request_head_seconds=SOON) as server,
        connected(server.url) as wire,
    ):
        assert await wire.closed()
        assert refused(server) == ["request_head_timeout"]


async def test_the_time_for_a_head_begins_with_it_where_a_connection_is_used_again(
    tmp_path: Path,
) -> None:
    async with (
        gateway(tmp_path, request_head_seconds=SOON) as server,
        connected(server.url) as wire,
    ):
        await wire.send(HEAD + b"\r\n")
        assert await wire.answer() is not None
        await wire.send(b"\r\n" + HEAD)  # a line's end too many is none of the next head
        assert await wire.refusal() == (408, "request_head_timeout")


@pytest.mark.long
async def test_an_idle_connection_ends_without_a_word(tmp_path: Path) -> None:
    async with gateway(tmp_path, keep_alive_seconds=SOON) as server:
        async with connected(server.url) as wire:
            await wire.send(HEAD + b"\r\n")
            assert await wire.answer() is not None
            assert await wire.closed()
        async with connected(server.url) as wire:
            await wire.send(HEAD + b"\r\n")
            assert await wire.answer() is not None
            await wire.send(b"\r\n")  # is no request, so that the connection is idle all the same
            assert await wire.closed()


async def test_behind_a_refused_body_the_connection_is_idle(tmp_path: Path) -> None:
    post = b"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    async with (
        gateway(tmp_path, api_key=KEY, keep_alive_seconds=1) as server,
        connected(server.url) as wire,
    ):
        for _ in range(2):
            await wire.send(post)
            await wire.send(b"12345")
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 401
        assert await wire.closed()


async def test_requests_sent_ahead_are_answered_in_order_and_not_any_number_of_them(
    server: Gateway,
) -> None:
    ahead = b"".join(b"GET /nowhere/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5000))
    async with connected(server.url) as wire:
        await wire.send(ahead)
        for _ in range(17):  # one is answered while sixteen wait
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 401
        assert await wire.refusal() == (429, "too_many_pipelined_requests")


async def test_what_is_no_request_is_refused_like_everything_else(server: Gateway) -> None:
    for sent in (b"\x16\x03\x01\x02\x00 TLS", b"GET\r\n\r\n", HEAD + b"no colon\r\n\r\n"):
        async with connected(server.url) as wire:
            await wire.send(sent)
            assert await wire.refusal() == (400, "malformed_request")


async def test_a_request_to_change_the_protocol_is_answered_in_this_one(server: Gateway) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    async with connected(server.url) as wire:
        for _ in range(3):
            await wire.send(HEAD + upgrade + b"\r\n")
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200


async def test_refusals_fill_no_log(server: Gateway) -> None:
    for _ in range(20):
        async with connected(server.url) as wire:
            await wire.send(b"GET /" + b"a" * 2 * LIMIT)
            assert await wire.refusal() == (414, "url_too_long")
    assert refused(server) == ["url_too_long"]
    assert (await server.get("/healthz")).status == 200
