"""How much of a response is read, and what becomes of one that is too much."""

import asyncio
import contextlib
import gzip
import json
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from providers.upstreams import Upstream
from reelhook.domain.errors import ProviderError, ResponseTooLargeError
from reelhook.domain.report import Accepted, InDoubt, Progress
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.response import VALUES_MAX, read_json
from reelhook.providers.http.response_memory import PAGE_BYTES_MAX, RESPONSE_BYTES_MAX
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.provider import XAI
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

MIB = 2**20
KINDS = (OpenAI, Ark, Fal, Replicate, Runway, XAI)
IDS: dict[type[HttpProvider], str] = {Fal: "fal-ai/veo3/requests/r-1"}
MODELS: dict[type[HttpProvider], str] = {Fal: "fal-ai/veo3", Replicate: "owner/name"}
HEAD = b'{"id":"video_1","object":"video","status":"queued","x":['
BOMB = HEAD + b"[]," * (16 * MIB) + b"0]}"


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
async def provider(request: pytest.FixtureRequest, server: Upstream) -> AsyncIterator[HttpProvider]:
    async with request.param(server.url, "key") as one:
        yield one


def asked(provider: HttpProvider) -> VideoRequest:
    return VideoRequest("A fox", MODELS.get(type(provider), "model"))


def stream(server: Upstream, body: bytes, **headers: str) -> None:
    """Answer so, in pieces: this process is to hold no copy of what is sent."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # as soon as it is too much
            for start in range(0, len(body), 64 * 1024):
                await response.write(body[start : start + 64 * 1024])
        return response

    server.respond = respond


# -- reads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
async def test_a_status_that_is_too_long_is_not_read_to_its_end(
    server: Upstream, provider: HttpProvider, packed: bool
) -> None:
    body = gzip.compress(BOMB, 1) if packed else BOMB
    stream(server, body, **({"Content-Encoding": "gzip"} if packed else {}))
    one = IDS.get(type(provider), "video_1")
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError, match=f"{RESPONSE_BYTES_MAX} bytes"):
            await provider.get(one)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * RESPONSE_BYTES_MAX


async def test_many_long_responses_at_once_take_turns(server: Upstream) -> None:
    stream(server, HEAD + b'"' + b"x" * (3 * MIB) + b'"]}')
    async with OpenAI(server.url) as wire:
        tracemalloc.start()
        try:
            readings = await asyncio.gather(*(wire.get(f"video_{one}") for one in range(32)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert {reading.report for reading in readings} == {Progress(running=False)}
    assert peak < 64 * MIB


async def test_an_error_that_is_too_long_still_counts_by_its_status(server: Upstream) -> None:
    server.answers(503, text=BOMB, headers={"Retry-After": "7"})
    async with OpenAI(server.url) as wire:
        with pytest.raises(ProviderError, match="HTTP 503") as caught:
            await wire.get("video_1")
    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(HEAD + b"0]}", mtime=0)[:-9]],
    ids=["nothing", "no gzip", "cut off"],
)
async def test_what_can_not_be_unpacked_is_asked_for_again(
    server: Upstream, provider: HttpProvider, packed: bytes
) -> None:
    server.answers(200, text=packed, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ProviderError):
        await provider.get(IDS.get(type(provider), "video_1"))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_an_encoding_that_is_not_known_is_named(server: Upstream, encoding: str) -> None:
    server.answers(200, text=b"?", headers={"Content-Encoding": encoding})
    async with OpenAI(server.url) as wire:
        with pytest.raises(ProviderError, match=encoding):
            await wire.get("video_1")


@pytest.mark.parametrize("escaped", [False, True])
async def test_an_image_that_is_shown_again_counts_for_nothing(
    server: Upstream, escaped: bool
) -> None:
    """Replicate shows what it was asked for, images included."""
    image = f"data:image/png;base64,{b64encode(bytes(6 * MIB)).decode()}"
    prompt = 'He said "data:image/png;base64,' + "A" * 2000 if escaped else "A fox"
    prediction = {"id": "p1", "input": {"image": image, "prompt": prompt}, "status": "processing"}
    server.answers(200, prediction)
    async with Replicate(server.url, "key") as replicate:
        assert (await replicate.get("p1")).report == Progress(running=True)
        server.answers(200, {"results": [prediction], "next": None})
        (entry,) = (await replicate.page(None, 100)).entries
        assert entry.prompt == prompt
        server.answers(201, prediction)
        outcome = await replicate.submit(asked(replicate))
        assert isinstance(outcome, Accepted)


# -- pages ----------------------------------------------------------------------------------------


async def test_a_page_with_long_prompts_is_read_in_smaller_ones(server: Upstream) -> None:
    """Of 100 prompts of 32,000 emoji, escaped, which are 38 MB."""
    video = {"object": "video", "status": "queued", "prompt": "🦊" * 32_000}
    limits = []

    async def listing(request: web.Request) -> web.Response:
        limits.append(int(request.query["limit"]))
        data = [video | {"id": f"video_{number}"} for number in range(limits[-1])]
        return web.json_response({"data": data, "has_more": True})

    server.respond = listing
    async with OpenAI(server.url) as wire:
        page = await wire.page(None, 100)

    assert limits == [100, 10]
    assert [entry.provider_job_id for entry in page.entries] == [f"video_{n}" for n in range(10)]
    assert page.more
    assert page.entries[0].prompt == video["prompt"]


async def test_a_page_may_be_longer_than_a_status(server: Upstream) -> None:
    video = {"id": "video_1", "status": "queued", "prompt": "x" * (RESPONSE_BYTES_MAX + 1)}
    server.answers(200, {"data": [video]})
    async with OpenAI(server.url) as wire:
        assert len((await wire.page(None, 100)).entries) == 1
        server.answers(200, {"data": [video], "more": "x" * PAGE_BYTES_MAX})
        with pytest.raises(ResponseTooLargeError):
            await wire.page(None, 100)


# -- creates --------------------------------------------------------------------------------------


CREATED: dict[str, tuple[bytes, dict[str, str]]] = {
    "too long": (BOMB, {}),
    "too many values": (HEAD + b"{}," * VALUES_MAX + b"0]}", {}),
    "a web page": (b"<html>", {}),
    "cut off": (HEAD, {}),
    "packed, and too long": (gzip.compress(BOMB, 1), {"Content-Encoding": "gzip"}),
    "packed by we don't know what": (b"??", {"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("body", CREATED)
async def test_a_create_whose_response_can_not_be_read_is_in_doubt(
    server: Upstream, provider: HttpProvider, body: str
) -> None:
    text, headers = CREATED[body]
    server.answers(200, text=text, headers=headers)
    outcome = await provider.submit(asked(provider), lambda: True)

    assert isinstance(outcome, InDoubt)
    assert server.posts == 1


# -- documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", ["[],", '{"a":1},', "0,", '"",', '"a b",', "[[0]],"])
def test_a_document_of_more_values_than_are_read_is_none(many: str) -> None:
    few, too_many = (f"[{many * count}0]".encode() for count in (VALUES_MAX // 4, VALUES_MAX))
    assert read_json(few) is not None
    assert read_json(too_many) is None


@pytest.mark.parametrize("text", [', : [ { "', "\\", '\\\\" , "', "a, b"])
def test_what_stands_in_texts_is_no_value(text: str) -> None:
    document: Any = {"prompts": [text * 10_000] * 3, "x": text}
    assert read_json(json.dumps(document).encode()) == document


# -- at the simulator -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["huge", "garbled"])
async def test_the_simulator_s_garbled_and_huge_responses_end_nothing_and_lose_nothing(
    fault: str,
) -> None:
    async with running() as simulator, OpenAI(simulator.base_url) as wire:
        made = await wire.submit(VideoRequest("A fox", "sora-2"), lambda: True)
        assert isinstance(made, Accepted)
        simulator.simulator.faults = Faults(**{fault: 1})  # type: ignore[arg-type]  # a rate, by its name
        with pytest.raises(ProviderError):
            await wire.get(made.provider_job_id)
        with pytest.raises(ProviderError):
            await wire.page(None, 100)
        lost = await wire.submit(VideoRequest("Another", "sora-2"), lambda: True)

    assert isinstance(lost, InDoubt)
    assert simulator.simulator.creations == 2
    assert simulator.simulator.injected[fault] == 4 if fault == "huge" else 3
