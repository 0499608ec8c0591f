"""A refusal comes when its request has come, so that nobody writes into a closed connection."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateways import Gateway, gateway
from wires import Wire, connected

from reelhook.doors import bodies

KEY = "k" * 40
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n"
POST_1_0 = POST.replace(b"1.1", b"1.0")
BEARER = f"Authorization: Bearer {KEY}\r\n".encode()
KILOBYTE = 1000
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

REFUSED = {
    "a wrong key": (JSON, 900 * KILOBYTE, 401),
    "a wrong key, 3 MB": (JSON, 3000 * KILOBYTE, 413),
    "too large": (JSON + BEARER, 3000 * KILOBYTE, 413),
    "no JSON by its type": (BEARER, 900 * KILOBYTE, 415),
    "no JSON": (JSON + BEARER, 900 * KILOBYTE, 400),
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, api_key=KEY, upload_max_mib=1) as one:
        yield one


async def answered_before(wire: Wire, seconds: float) -> bool:
    """Whether a response begins within this time."""
    try:
        async with asyncio.timeout(seconds):
            await wire.peek()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_refusal_waits_for_the_rest_of_the_body(
    server: Gateway, name: str, chunked: bool
) -> None:
    headers, length, status = REFUSED[name]
    if name == "a wrong key, 3 MB" and chunked:
        status = 401
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
    body = b"x" * length
    wrapped = b"%x\r\n%b\r\n0\r\n\r\n" % (length, body) if chunked else body
    async with connected(server.url) as wire:
        for _ in range(2):  # the connection can be used again
            await wire.send(POST + headers + framing + b"\r\n\r\n" + wrapped[:1000])
            assert not await answered_before(wire, 0.1)
            await wire.send(wrapped[1000:])
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == status
            assert "connection" not in answer.headers
        await wire.send(GET)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 200


async def test_a_client_of_http_1_0_can_read_its_refusal(server: Gateway) -> None:
    for _ in range(20):
        async with connected(server.url) as wire:
            head = POST_1_0 + JSON + b"Content-Length: 3000000\r\n\r\n"
            await wire.send(head + bytes(3_000_000))
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 413
            assert await wire.closed()


@pytest.mark.parametrize("head", [POST, POST_1_0], ids=["1.1", "1.0"])
async def test_a_body_that_does_not_come_is_not_waited_for_long(
    server: Gateway, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(bodies, "REST_SECONDS", 0.2)
    async with connected(server.url) as wire:
        await wire.send(head + JSON + b"Content-Length: 900000\r\n\r\n" + bytes(1000))
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 401
        assert answer.headers["connection"] == "close"
        await wire.send(bytes(899_000))  # late: it meets no reset
        assert await wire.closed()


@pytest.mark.long
@pytest.mark.parametrize("length", [30_000_000, 10**17], ids=["30 MB", "10^17"])
async def test_more_than_a_few_mebibytes_are_not_waited_for(server: Gateway, length: int) -> None:
    async with connected(server.url) as wire:
        await wire.send(POST + JSON + b"Content-Length: %d\r\n\r\n" % length)
        assert await wire.refusal() == (413, "request_too_large")


async def test_chunks_without_an_end_are_refused_at_the_bound(server: Gateway) -> None:
    async with connected(server.url) as wire:
        await wire.send(POST + JSON + b"Transfer-Encoding: chunked\r\n\r\n")
        sending = asyncio.create_task(wire.send(b"10000\r\n%b\r\n" % bytes(0x10000) * 200))
        assert await wire.refusal() == (401, "unauthorized")
        await sending


async def test_a_client_that_asks_first_is_refused_at_once_without_a_100_continue(
    server: Gateway,
) -> None:
    async with connected(server.url) as wire:
        expecting = b"Expect: 100-continue\r\nContent-Length: 900000\r\n\r\n"
        await wire.send(POST + JSON + expecting)
        assert await wire.refusal() == (401, "unauthorized")
    async with connected(server.url) as wire:
        await wire.send(POST + JSON + BEARER + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 100
        await wire.send(b"no object")
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 400


@pytest.mark.parametrize("path", [b"/nowhere", b"/healthz", b"/api/watcher/pause"])
async def test_so_does_every_other_response(server: Gateway, path: bytes) -> None:
    post = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + JSON + BEARER
    async with connected(server.url) as wire:
        await wire.send(post + b"Content-Length: 200000\r\n\r\n")
        assert not await answered_before(wire, 0.1)
        await wire.send(bytes(200_000) + GET)
        for _ in range(2):
            answer = await wire.answer()
            assert answer is not None
            assert "connection" not in answer.headers
        assert answer is not None
        assert answer.status == 200
