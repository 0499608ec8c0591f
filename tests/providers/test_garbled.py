"""Garbled responses: whatever stands in place of a job's end is no end, and is asked for again."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from providers.upstreams import Upstream
from reelhook.domain.errors import ProviderError
from reelhook.domain.report import Failed, Finished
from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.provider import XAI

VIDEO = "http://files.example/v.mp4"
FINISHED: Mapping[type[HttpProvider], tuple[str, dict[str, Any]]] = {
    OpenAI: ("video_1", {"id": "video_1", "object": "video", "status": "completed"}),
    Ark: ("cgt-1", {"id": "cgt-1", "status": "succeeded", "content": {"video_url": VIDEO}}),
    Fal: ("fal-ai/veo3/requests/r-1", {"video": {"url": VIDEO}}),
    Replicate: ("p1", {"id": "p1", "status": "succeeded", "output": VIDEO}),
    Runway: ("t-1", {"id": "t-1", "status": "SUCCEEDED", "output": [VIDEO]}),
    XAI: ("x-1", {"status": "done", "video": {"url": VIDEO}}),
}
COMPLETED = {"status": "COMPLETED", "request_id": "r-1"}


def truncated(whole: dict[str, Any]) -> bytes:
    return json.dumps(whole).encode()[:-1]


GARBLED: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
    "a web page": lambda _: b"<html>Please wait while we check your browser</html>",
    "a web page that names a status": lambda _: b'<html>{"status": "failed"}</html>',
    "nothing": lambda _: b"",
    "null": lambda _: b"null",
    "a text": lambda _: b'"failed"',
    "a list": lambda whole: json.dumps([whole]).encode(),
    "cut off": truncated,
    "two objects": lambda whole: json.dumps(whole).encode() * 2,
    "another charset": lambda whole: json.dumps(whole).encode("cp037"),
    "bytes that are no text": lambda whole: json.dumps(
        whole | {"x": "ä"}, ensure_ascii=False
    ).encode("latin-1"),
    "nested too deep": lambda whole: truncated(whole) + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "too many values": lambda whole: truncated(whole) + b',"x":[' + b"{}," * 60_000 + b"0]}",
    "too long": lambda whole: truncated(whole) + b',"x":"' + b"x" * 4 * 2**20 + b'"}',
}


@pytest.fixture(params=FINISHED, ids=lambda kind: kind.name)
async def provider(request: pytest.FixtureRequest, server: Upstream) -> AsyncIterator[HttpProvider]:
    async with request.param(server.url, "key") as one:
        yield one


def say(server: Upstream, provider: HttpProvider, body: bytes, **rest: Any) -> None:
    """Answer a read so; fal says that the request is completed, and answers its result so."""

    async def respond(request: web.Request) -> web.StreamResponse:
        if isinstance(provider, Fal) and request.path.endswith("/status"):
            return web.json_response(COMPLETED)
        return web.Response(body=body, **rest)

    server.respond = respond


@pytest.mark.parametrize("garble", GARBLED.values(), ids=GARBLED)
async def test_a_garbled_200_ends_no_job(
    server: Upstream, provider: HttpProvider, garble: Callable[[dict[str, Any]], bytes]
) -> None:
    one, whole = FINISHED[type(provider)]
    say(server, provider, garble(whole))
    with pytest.raises(ProviderError):
        await provider.get(one)
    say(server, provider, json.dumps(whole).encode())

    assert isinstance((await provider.get(one)).report, Finished)


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422, 451, 500])
async def test_a_page_of_a_proxy_is_not_fal_s_word_on_a_result(
    server: Upstream, status: int
) -> None:
    async with Fal(server.url, "key") as fal:
        say(server, fal, b"<html>Not here</html>", status=status)
        with pytest.raises(ProviderError):
            await fal.get(FINISHED[Fal][0])


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Ark, {"content": "<html>"}),
        (Ark, {"content": {"video_url": 5}}),
        (Ark, {"content": {"video_url": "soon"}}),
        (Ark, {"content": [VIDEO]}),
        (Fal, {"video": 5}),
        (Fal, {"video": {"url": True}}),
        (Runway, {"output": 5}),
        (Runway, {"output": [5]}),
        (Runway, {"output": {"url": VIDEO}}),
        (Runway, {"output": "text"}),
        (Runway, {"output": [{"uri": VIDEO}]}),
        (XAI, {"video": 5}),
        (XAI, {"video": VIDEO}),
        (XAI, {"video": {"url": ["x"]}}),
    ],
)
async def test_a_file_in_a_wrong_type_is_no_missing_file(
    server: Upstream, kind: type[HttpProvider], wrong: dict[str, Any]
) -> None:
    one, whole = FINISHED[kind]
    async with kind(server.url, "key") as provider:
        say(server, provider, json.dumps({**whole, **wrong}).encode())
        with pytest.raises(ProviderError):
            await provider.get(one)


@pytest.mark.parametrize(
    ("kind", "empty"),
    [
        (Ark, {"content": None}),
        (Ark, {"content": {}}),
        (Ark, {"content": {"video_url": ""}}),
        (Fal, {"video": None}),
        (Fal, {"video": {"url": None}}),
        (Replicate, {"output": None}),
        (Runway, {"output": []}),
        (Runway, {"output": None}),
        (XAI, {"video": None}),
        (XAI, {"video": {"url": ""}}),
    ],
)
async def test_an_object_that_shows_no_file_says_that_there_is_none(
    server: Upstream, kind: type[HttpProvider], empty: dict[str, Any]
) -> None:
    one, whole = FINISHED[kind]
    async with kind(server.url, "key") as provider:
        say(server, provider, json.dumps({**whole, **empty}).encode())
        report = (await provider.get(one)).report

        assert isinstance(report, Failed)
        assert report.code == "content_missing"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
async def test_a_response_that_is_compressed_unasked_is_read(
    server: Upstream, provider: HttpProvider, encoding: str
) -> None:
    one, whole = FINISHED[type(provider)]
    packed = gzip.compress(json.dumps(whole).encode())
    # Raw deflate is gzip without its head of 10 bytes and its end of 8.
    body = packed[10:-8] if encoding == "deflate" else packed
    say(server, provider, body, headers={"Content-Encoding": encoding})

    assert isinstance((await provider.get(one)).report, Finished)
    assert {seen.headers["Accept-Encoding"] for seen in server.seen} == {"identity"}
