"""A body ends, in bytes, in seconds and in what it becomes when it is parsed."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from gateways import Gateway, gateway
from starlette.exceptions import HTTPException
from wires import connected

from reelhook.doors.bodies import BodyMemory
from reelhook.doors.json_shape import DEPTH_MAX, VALUE_BYTES, VALUES_MAX, parsed_bytes
from reelhook.doors.limits import LimitError

MEBIBYTE = 1024 * 1024
JSON = {"Content-Type": "application/json"}
POST = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SOON = 0.3
"""Seconds that nobody has to wait for long."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as one:
        yield one


def refusal_of(body: bytes) -> str | None:
    try:
        parsed_bytes(body)
    except LimitError as error:
        return error.code
    except HTTPException as error:
        return str(error.status_code)
    return None


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


def test_a_body_may_be_so_deep_and_no_deeper() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":[', b"]}]")):
        levels = opening.count(b"[") + opening.count(b"{")
        fine = DEPTH_MAX // levels
        assert refusal_of(nested(fine, opening, closing)) is None
        assert refusal_of(nested(fine + 1, opening, closing)) == "json_too_deep"
    assert refusal_of(b"[" * 9000) == "400"  # no JSON at all
    assert refusal_of(nested(DEPTH_MAX) + b"," + nested(DEPTH_MAX)) is None
    assert refusal_of(b"[" + b",".join([nested(3)] * 1000) + b"]") is None


def test_a_body_may_have_so_many_values_and_no_more() -> None:
    for one in (b"1", b"[]", b'{"a":1}', b'"a,b"', b'"[\\"["'):
        many = VALUES_MAX // (2 if one[:1] in b"[{" else 1) - 1
        assert refusal_of(b"[" + b",".join([one] * many) + b"]") is None
        assert refusal_of(b"[" + b",".join([one] * (many + 2)) + b"]") == "json_too_many_values"


def test_what_stands_in_a_string_is_no_structure() -> None:
    text = json.dumps({"script": "[{,\\" * 30_000, "prompt": '"],[' * 30_000}).encode()
    assert refusal_of(text) is None
    assert refusal_of(b'{"a": "' + b'\\"' * (MEBIBYTE // 2)) is None  # a string without an end
    assert refusal_of(b'"\\' * (MEBIBYTE // 2)) is None
    assert refusal_of(b'["' + b"[" * MEBIBYTE + b'",' + nested(DEPTH_MAX) + b"]") == "json_too_deep"


def test_what_values_take_is_known_before_they_are_parsed() -> None:
    assert parsed_bytes(b"[1,2,3]") <= 5 * VALUE_BYTES
    assert parsed_bytes(b"[" + b"[],1," * 1000 + b"1]") >= 3000 * VALUE_BYTES


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            b'{"script": "x", "providerOptions": {"a": %b}}' % nested(100_000),
            "json_too_many_values",
        ),
        (b'{"script": "x", "providerOptions": {"a": %b}}' % nested(1000), "json_too_deep"),
        (b'{"script": "x", "providerOptions": {"a": %b}}' % nested(250), "json_too_deep"),
        (b'{"script": "x", "seed": ' + b"9" * 1_000_000 + b"}", "invalid_request"),
        (b'{"script": "x", "providerOptions": {"a": 1e999999}}', "invalid_request"),
        (b'{"script": "x", "a": [' + b"{}," * 300_000 + b"1]}", "json_too_many_values"),
    ],
    ids=["deep", "less deep", "as deep as a parser goes", "a number", "infinite", "many"],
)
async def test_a_bomb_of_json_is_refused(server: Gateway, body: bytes, code: str) -> None:
    for headers in (JSON, {**JSON, "Idempotency-Key": "key"}):
        reply = await server.post("/api/generate", data=BytesIO(body), headers=headers)
        assert reply.refusal[:2] == (400, code)


async def test_options_may_be_nested(server: Gateway) -> None:
    body = b'{"script": "x", "providerOptions": {"a": %b}}' % nested(DEPTH_MAX - 2)
    for headers in (JSON, {**JSON, "Idempotency-Key": "key"}):
        reply = await server.post("/api/generate", data=BytesIO(body), headers=headers)
        assert reply.status == 200


@pytest.mark.long
async def test_a_body_that_drips_is_refused_in_time(tmp_path: Path) -> None:
    async with gateway(tmp_path, transfer_seconds=SOON) as server:
        for head in (b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\n"):
            async with connected(server.url) as wire:
                await wire.send(POST + head + b"{")
                answer = await wire.answer()
                assert answer is not None
                assert answer.refusal == (408, "request_body_timeout")
                assert "REELHOOK_TRANSFER_SECONDS" in answer.words


async def test_larger_bodies_are_a_setting(tmp_path: Path) -> None:
    body = json.dumps({"script": "x", "padding": "x" * MEBIBYTE}).encode()
    async with gateway(tmp_path, request_body_mib=2, upload_max_mib=1) as server:
        reply = await server.post("/api/generate", data=BytesIO(body), headers=JSON)
        assert reply.status == 200
        larger = BytesIO(body + b" " * MEBIBYTE)
        reply = await server.post("/api/generate", data=larger, headers=JSON)
        assert reply.refusal == (413, "request_too_large", None)
        assert "2 MiB" in reply.json()["error"]


async def test_nothing_is_read_for_an_address_that_no_provider_was_given(server: Gateway) -> None:
    async with connected(server.url) as wire:
        await wire.send(
            b"POST /providers/openai/webhook/x HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
        )
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 404


async def test_many_large_bodies_at_once_are_taken_one_after_the_other(server: Gateway) -> None:
    image = "data:image/png;base64,iVBORw0KGgoA" + "A" * 890_000
    body = json.dumps({"script": "x", "image": image}).encode()

    async def post() -> int:
        data = BytesIO(body)
        return (await server.post("/api/generate", data=data, headers=JSON)).status

    assert await asyncio.gather(*(post() for _ in range(40))) == [200] * 40


async def test_room_is_given_in_order_and_never_more_than_there_is() -> None:
    room = BodyMemory(10)
    assert await room.take(6) == 6
    large, small = asyncio.create_task(room.take(8)), asyncio.create_task(room.take(1))
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done()  # it would fit, but then a large one might wait for ever
    room.release(6)
    assert await large == 8
    assert await small == 1
    room.release(9)
    assert await room.take(99) == 10


async def test_who_stops_waiting_for_room_leaves_none_taken() -> None:
    room = BodyMemory(10)
    await room.take(10)
    first, second, third = (asyncio.create_task(room.take(5)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    room.release(10)
    second.cancel()  # at the moment of its turn
    await asyncio.gather(first, second, return_exceptions=True)
    assert await third == 5
    assert await room.take(5) == 5


async def test_a_canceled_body_that_was_passed_over_leaves_none_taken_either() -> None:
    room = BodyMemory(10)
    await room.take(10)
    canceled, next_one = asyncio.create_task(room.take(5)), asyncio.create_task(room.take(5))
    await asyncio.sleep(0)
    canceled.cancel()
    room.release(10)  # before it notices: its turn goes to the next one
    [end] = await asyncio.gather(canceled, return_exceptions=True)
    assert isinstance(end, asyncio.CancelledError)
    assert await next_one == 5
    assert await room.take(5) == 5
