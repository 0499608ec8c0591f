import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from loop_clock import jump, others_go_on

from providers.upstreams import Raw, Upstream, raw_upstream, reset, unused_port
from reelhook.domain.report import (
    Accepted,
    Failed,
    Finished,
    InDoubt,
    NotSent,
    Progress,
    RateLimited,
    Refused,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI

REQUEST = VideoRequest("Calm\n\nA fox", model="sora-2", seconds="8", size="64x64")
QUEUED = {"id": "video_1", "object": "video", "status": "queued", "progress": 0}
FASTAPI_MISSING = {
    "detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]
}
VLLM_MISSING = {
    "error": {
        "message": "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'prompt'), "
        "'msg': 'Field required', 'input': None}",
        "type": "Bad Request",
        "param": None,
        "code": 400,
    }
}


# -- what is sent ---------------------------------------------------------------------------------


async def test_a_create_sends_the_request_as_json_with_the_key(
    server: Upstream, wire: OpenAI
) -> None:
    server.answers(200, QUEUED)
    assert await wire.submit(REQUEST) == Accepted("video_1", Progress(running=False, percent=0))
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/videos")
    assert seen.headers["Authorization"] == "Bearer sk-test"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.json() == {
        "model": "sora-2",
        "prompt": "Calm\n\nA fox",
        "seconds": "8",
        "size": "64x64",
    }


EVERYTHING = replace(
    REQUEST,
    image="https://i.example/fox.png",
    seed=7,
    aspect_ratio="1:1",
    options={"fps": 24, "negative_prompt": "blur", "lora": {"a": [1]}, "seed": 1},
)
IMAGE = "data:image/svg+xml;base64,PHN2Zy8+"


async def test_everything_that_was_asked_for_is_sent(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, QUEUED)
    await wire.submit(replace(EVERYTHING, image=None))
    [seen] = server.seen
    assert seen.json() == {
        "model": "sora-2",
        "prompt": "Calm\n\nA fox",
        "seconds": "8",
        "size": "64x64",
        "seed": 7,
        "fps": 24,
        "negative_prompt": "blur",
        "lora": {"a": [1]},
    }


@pytest.mark.parametrize("image", ["https://i.example/fox.png", IMAGE])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (415, None),
        (400, {"error": "Invalid JSON body"}),
        (400, {"error": {"message": "invalid character '-' in numeric literal"}}),
        (422, FASTAPI_MISSING),
    ],
)
async def test_a_server_that_takes_only_json_gets_its_image_there(
    server: Upstream, wire: OpenAI, image: str, status: int, body: object
) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            return web.json_response(QUEUED)
        return web.json_response(body, status=status)

    server.respond = respond
    request = VideoRequest(prompt="A fox", model="m", image=image)
    for _ in range(2):
        assert isinstance(await wire.submit(request), Accepted)
        sent = {"model": "m", "prompt": "A fox", "input_reference": {"image_url": image}}
        assert server.seen[-1].json() == sent
    assert server.posts == 3


async def test_everything_that_was_asked_for_goes_into_a_form(
    server: Upstream, wire: OpenAI
) -> None:
    forms = _take_forms_only(server)
    await wire.submit(EVERYTHING)
    assert server.posts == 1
    assert forms == [
        {
            "model": "sora-2",
            "prompt": "Calm\n\nA fox",
            "seconds": "8",
            "size": "64x64",
            "seed": "7",
            "reference_url": "https://i.example/fox.png",
            "image_reference": '{"image_url": "https://i.example/fox.png"}',
            "fps": "24",
            "negative_prompt": "blur",
            "lora": '{"a": [1]}',
        }
    ]


async def test_an_image_goes_into_a_form_as_a_file(server: Upstream, wire: OpenAI) -> None:
    _take_forms_only(server)
    imaged = VideoRequest(prompt="A fox", model="m", image=IMAGE)
    assert isinstance(await wire.submit(imaged), Accepted)
    [seen] = server.seen
    body = seen.body
    assert b'name="input_reference"; filename="image.svg"' in body
    assert b"Content-Type: image/svg+xml" in body
    assert b"<svg/>" in body
    await wire.submit(VideoRequest(prompt="A fox", model="m"))
    assert b"input_reference" not in server.seen[-1].body


@pytest.mark.parametrize("form_only", [False, True])
async def test_any_options_can_be_sent(server: Upstream, wire: OpenAI, form_only: bool) -> None:
    _take_forms_only(server) if form_only else server.answers(200, QUEUED)
    odd = {"\ud800": "\udfff\0", "": "c\r\nd", "none": None, "nested": {"\0": [True]}}
    request = VideoRequest(prompt="A fox", model="m", options=odd)
    assert isinstance(await wire.submit(request), Accepted)
    assert server.posts == 1 + form_only


@pytest.mark.parametrize("form_only", [False, True])
@pytest.mark.parametrize(("ratio", "size"), [("16:9", "1280x720"), ("9:16", "720x1280")])
async def test_a_ratio_is_told_as_the_size_of_that_shape(
    server: Upstream, wire: OpenAI, ratio: str, size: str, form_only: bool
) -> None:
    _take_forms_only(server) if form_only else server.answers(200, QUEUED)
    request = VideoRequest(prompt="A fox", model="m", aspect_ratio=ratio)
    assert isinstance(await wire.submit(request), Accepted)
    assert size.encode() in server.seen[-1].body


@pytest.mark.parametrize(
    "fields",
    [
        {"aspect_ratio": "21:9"},
        {"aspect_ratio": "16:9", "size": "720x1280"},
        {"image": "data:image/png;base64,A"},
        {"options": {"a\r\nb": 1}},
        {"options": {"a\0": 1}},
    ],
)
async def test_what_the_wire_has_no_words_for_is_refused_unpaid(
    server: Upstream, wire: OpenAI, fields: dict[str, Any]
) -> None:
    outcome = await wire.submit(VideoRequest(prompt="A fox", model="m", **fields))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_request"
    assert server.seen == []


async def test_what_was_not_asked_for_is_not_sent(server: Upstream) -> None:
    server.answers(200, QUEUED)
    async with OpenAI(server.url) as wire:
        await wire.submit(VideoRequest(prompt="A fox", model="m"))
    [seen] = server.seen
    assert seen.json() == {"model": "m", "prompt": "A fox"}
    assert "Authorization" not in seen.headers


async def test_every_create_has_a_connection_of_its_own(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, QUEUED)
    for _ in range(3):
        await wire.submit(REQUEST)
    assert server.posts == 3
    assert all(seen.headers["Connection"] == "close" for seen in server.seen)
    assert len({seen.peer for seen in server.seen}) == 3


async def test_many_creates_at_once_are_one_post_each(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, QUEUED)
    outcomes = await asyncio.gather(*(wire.submit(REQUEST) for _ in range(150)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert server.posts == 150


@pytest.mark.parametrize("script", ["\ud800 lone", "nul \0", "\r\n--boundary\r\n", "🎬" * 16_000])
@pytest.mark.parametrize("form_only", [False, True])
async def test_any_text_can_be_sent(
    server: Upstream, wire: OpenAI, script: str, form_only: bool
) -> None:
    _take_forms_only(server) if form_only else server.answers(200, QUEUED)
    outcome = await wire.submit(VideoRequest(prompt=script, model="m"))
    assert isinstance(outcome, Accepted)
    assert server.posts == 1 + form_only


# -- the meaning of a response -------------------------------------------------------------------


async def test_a_server_that_renders_at_once_is_believed(server: Upstream, wire: OpenAI) -> None:
    server.answers(201, QUEUED | {"status": "completed", "expires_at": 1_800_000_000})
    url = f"{server.url}/v1/videos/video_1/content"
    assert await wire.submit(REQUEST) == Accepted("video_1", Finished(url, 1_800_000_000))


async def test_a_video_that_failed_at_once_is_accepted_and_failed(
    server: Upstream, wire: OpenAI
) -> None:
    server.answers(200, QUEUED | {"status": "failed", "error": {"code": "x", "message": "no"}})
    assert await wire.submit(REQUEST) == Accepted("video_1", Failed("provider_error", "no"))


@pytest.mark.parametrize(("body", "id_"), [({"id": "v"}, "v"), ({"id": 17, "status": 3}, "17")])
async def test_an_id_is_enough_to_be_accepted(
    server: Upstream, wire: OpenAI, body: object, id_: str
) -> None:
    server.answers(202, body)
    assert await wire.submit(REQUEST) == Accepted(id_, Progress(running=False))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *[
            (200, {"id": odd})
            for odd in ("", " ", ".", "..", "a\nb", "x" * 256, None, True, -1, 1.5, ["a"], "\ud800")
        ],
        (200, {"status": "queued"}),
        (200, {"error": {"message": "no"}}),
        (200, []),
        (200, None),
        (204, None),
        *[(status, {"error": {"message": "no"}}) for status in (408, 409, 500, 502, 503, 504, 599)],
        *[(status, QUEUED) for status in (300, 304, 500)],
    ],
)
async def test_what_may_have_been_accepted_is_in_doubt(
    server: Upstream, wire: OpenAI, status: int, body: object
) -> None:
    server.answers(status, body)
    assert isinstance(await wire.submit(REQUEST), InDoubt)
    assert server.posts == 1


@pytest.mark.parametrize("text", ["", "<html>ok</html>", '{"id": "vid', "[" * 100_000, b"\xff\xfe"])
async def test_an_unreadable_success_is_in_doubt(
    server: Upstream, wire: OpenAI, text: str | bytes
) -> None:
    server.answers(200, text=text)
    assert isinstance(await wire.submit(REQUEST), InDoubt)
    assert server.posts == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_in_doubt(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    server.answers(status, QUEUED, headers={"Location": f"{server.url}/v1/elsewhere"})
    assert isinstance(await wire.submit(REQUEST), InDoubt)
    assert [seen.path for seen in server.seen] == ["/v1/videos"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"Retry-After": "999999999"}, 86400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
async def test_a_rate_limit_is_surely_not_accepted(
    server: Upstream, wire: OpenAI, headers: dict[str, str], seconds: float | None
) -> None:
    server.answers(429, {"error": {"message": "Slow down"}}, headers=headers)
    assert await wire.submit(REQUEST) == RateLimited(seconds, "Slow down")
    assert server.posts == 1


async def test_an_empty_quota_said_with_429_is_tried_again_later(
    server: Upstream, wire: OpenAI
) -> None:
    server.answers(429, {"error": {"message": "No quota", "code": "insufficient_quota"}})
    assert await wire.submit(REQUEST) == RateLimited(None, "No quota")


def _openai(message: str, code: object = None, type_: str = "invalid_request_error") -> object:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            401,
            _openai("Incorrect API key", "invalid_api_key"),
            Refused("provider_unauthorized", "Incorrect API key", unauthorized=True),
        ),
        (403, {"detail": "No"}, Refused("provider_unauthorized", "No", unauthorized=True)),
        (
            400,
            _openai("Blocked by our moderation system.", "moderation_blocked"),
            Refused("moderation", "Blocked by our moderation system."),
        ),
        (
            400,
            _openai("Blocked by our moderation system."),
            Refused("moderation", "Blocked by our moderation system."),
        ),
        (
            400,
            _openai("No", "content_policy_violation"),
            Refused("moderation", "No"),
        ),
        (400, _openai("Limit", "billing_hard_limit_reached"), Refused("quota", "Limit")),
        (402, {"message": "Top up"}, Refused("quota", "Top up")),
        (404, _openai("No such model"), Refused("invalid_request", "No such model")),
        (400, {"error": "size is wrong"}, Refused("invalid_request", "size is wrong")),
        (
            422,
            {"detail": [{"loc": ["body", "size"], "msg": "bad"}, {"msg": "and more"}]},
            Refused("invalid_request", "body.size: bad; and more"),
        ),
        (400, {"statusCode": 400, "error": "Bad Request", "message": "m"}, "m"),
        (400, {"foo": 1}, '{"foo": 1}'),
        (400, {"error": {"message": None}}, '{"error": {"message": null}}'),
        (413, {"error": {"message": "x" * 5000}}, "x" * 2000),
    ],
)
async def test_a_refusal_carries_our_code_and_the_providers_words(
    server: Upstream, wire: OpenAI, status: int, body: object, expected: Refused | str
) -> None:
    server.answers(status, body)
    if isinstance(expected, str):
        expected = Refused("invalid_request", expected)
    assert await wire.submit(REQUEST) == expected
    assert server.posts == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "HTTP 418"), ("<h1>teapot</h1>", "<h1>teapot</h1>"), ("y" * 900, "y" * 500)],
)
async def test_a_refusal_without_json_is_told_by_its_text(
    server: Upstream, wire: OpenAI, text: str, message: str
) -> None:
    server.answers(418, text=text)
    assert await wire.submit(REQUEST) == Refused("invalid_request", message)
    assert server.posts == 1


# -- servers that take forms only -----------------------------------------------------------------


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """Read a form by the letter of RFC 7578."""
    boundary = content_type.partition("boundary=")[2].encode()
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (parts[0], parts[-1].strip()) == (b"", b"--")
    fields = {}
    for part in parts[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        assert (b"filename" in head) is (b"input_reference" in head)
        name = re.search(rb'; name="([^"]*)"', head)
        assert name is not None
        fields[name[1].decode()] = value.decode()
    return fields


def _take_forms_only(
    server: Upstream, status: int = 422, body: object = FASTAPI_MISSING
) -> list[dict[str, str]]:
    forms: list[dict[str, str]] = []

    async def respond(request: web.Request) -> web.Response:
        if request.content_type != "multipart/form-data":
            return web.json_response(body, status=status)
        forms.append(_form(request.headers["Content-Type"], await request.read()))
        return web.json_response(QUEUED)

    server.respond = respond
    return forms


@pytest.mark.parametrize(
    ("status", "body"),
    [(415, None), (422, FASTAPI_MISSING), (400, VLLM_MISSING), (400, {"detail": "Use multipart"})],
)
async def test_a_server_that_takes_only_forms_gets_one_and_is_remembered(
    server: Upstream, wire: OpenAI, status: int, body: object
) -> None:
    forms = _take_forms_only(server, status, body)
    for _ in range(3):
        assert isinstance(await wire.submit(REQUEST), Accepted)
    assert server.posts == 4
    sent = {"model": "sora-2", "prompt": "Calm\n\nA fox", "seconds": "8", "size": "64x64"}
    assert forms == [sent] * 3
    assert all("Content-Length" in seen.headers for seen in server.seen)


async def test_a_refused_form_is_refused(server: Upstream, wire: OpenAI) -> None:
    server.answers(422, FASTAPI_MISSING)
    expected = Refused("invalid_request", "body.prompt: Field required")
    assert await wire.submit(REQUEST) == expected
    assert server.posts == 2


async def test_a_form_in_doubt_is_in_doubt(server: Upstream, wire: OpenAI) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(status=415 if request.content_type == "application/json" else 500)

    server.respond = respond
    assert isinstance(await wire.submit(REQUEST), InDoubt)
    assert server.posts == 2


async def test_a_server_that_no_longer_takes_forms_gets_json_again(
    server: Upstream, wire: OpenAI
) -> None:
    _take_forms_only(server)
    await wire.submit(REQUEST)

    async def respond(request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        return web.json_response(QUEUED, status=200 if is_json else 415)

    server.respond = respond
    assert isinstance(await wire.submit(REQUEST), Accepted)
    assert isinstance(await wire.submit(REQUEST), Accepted)
    assert server.posts == 2 + 2 + 1


# -- connections that fail ------------------------------------------------------------------------


SECONDS = 60.0


async def _submit(url: str, timeout_seconds: float = SECONDS) -> object:
    async with OpenAI(url, "sk-test", submit_timeout_seconds=timeout_seconds) as wire:
        return await wire.submit(REQUEST)


async def test_a_refused_port_is_not_sent() -> None:
    assert isinstance(await _submit(f"http://127.0.0.1:{unused_port()}"), NotSent)


async def test_a_name_that_can_not_be_looked_up_is_not_sent() -> None:
    assert isinstance(await _submit(f"http://{'a' * 70}.test"), NotSent)


async def test_a_failed_tls_handshake_is_not_sent(server: Upstream) -> None:
    outcome = await _submit(server.url.replace("http:", "https:"))
    assert isinstance(outcome, NotSent)
    assert server.posts == 0


async def _hang_unread(raw: Raw, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    raw.requests.append(await reader.read(4096))
    jump(SECONDS + 1)
    await asyncio.Event().wait()


async def test_a_tls_handshake_without_an_end_is_not_sent() -> None:
    async with raw_upstream(_hang_unread) as raw:
        outcome = await _submit(f"https://127.0.0.1:{raw.port}")
        assert isinstance(outcome, NotSent)
        assert (raw.connections, raw.posts) == (1, 0)


async def _never_answer(raw: Raw, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await raw.read_request(reader)
    await asyncio.Event().wait()


async def _reset_at_once(_: Raw, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def _close_at_once(_: Raw, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _reset_unread(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await raw.read_request(reader)
    reset(writer)


def _then(*parts: bytes, hang: bool = False) -> Callable[..., Awaitable[None]]:
    async def behave(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if hang:
            jump(SECONDS + 1)
            await asyncio.Event().wait()

    return behave


ID = json.dumps(QUEUED).encode()
HALF_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + ID


@pytest.mark.parametrize(
    "behaviour",
    [
        _reset_at_once,
        _close_at_once,
        _reset_unread,
        _then(),
        _then(hang=True),
        _then(b"HTTP/1.1 200 "),
        _then(b"HTTP/1.1 200 OK\r\nContent-"),
        _then(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", hang=True),
        _then(HALF_BODY),
        _then(HALF_BODY, hang=True),
        _then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        _then(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
        _then(b"nonsense\r\n\r\n"),
        _then(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ],
)
async def test_what_died_after_connecting_is_in_doubt_and_not_repeated(
    behaviour: Callable[..., Awaitable[None]],
) -> None:
    async with raw_upstream(behaviour) as raw:
        assert isinstance(await _submit(raw.url), InDoubt)
        assert raw.connections == 1
        assert raw.posts <= 1


async def test_a_refusal_whose_body_is_cut_off_is_still_a_refusal() -> None:
    async with raw_upstream(_then(b"HTTP/1.1 400 Bad\r\nContent-Length: 99\r\n\r\n{")) as raw:
        assert await _submit(raw.url) == Refused("invalid_request", "HTTP 400")
        assert raw.posts == 1


async def test_an_interim_answer_is_not_the_answer() -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ID), ID)
    async with raw_upstream(_then(b"HTTP/1.1 103 Early Hints\r\n\r\n", final)) as raw:
        assert isinstance(await _submit(raw.url), Accepted)
        assert raw.posts == 1


async def test_a_canceled_create_is_canceled_and_not_repeated() -> None:
    async with (
        raw_upstream(_never_answer) as raw,
        OpenAI(raw.url, submit_timeout_seconds=30) as wire,
    ):
        task = asyncio.create_task(wire.submit(REQUEST))
        await raw.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (raw.connections, raw.posts) == (1, 1)


async def test_closing_the_adapter_puts_a_create_in_doubt() -> None:
    async with raw_upstream(_never_answer) as raw:
        wire = OpenAI(raw.url, submit_timeout_seconds=30)
        task = asyncio.create_task(wire.submit(REQUEST))
        await raw.arrived.wait()
        await wire.close()
        assert isinstance(await task, InDoubt)


async def test_a_closed_adapter_sends_nothing(server: Upstream) -> None:
    wire = OpenAI(server.url)
    await wire.close()
    assert isinstance(await wire.submit(REQUEST), NotSent)
    assert server.posts == 0


async def test_the_time_out_spans_both_encodings() -> None:
    async def slow(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        jump(0.6 * SECONDS)
        await others_go_on()  # whoever gives up now does so before the answer
        if b"application/json" in raw.requests[-1]:
            writer.write(b"HTTP/1.1 415 No\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ID), ID))
        await writer.drain()

    async with raw_upstream(slow) as raw:
        assert isinstance(await _submit(raw.url), InDoubt)
        assert raw.posts == 2
