"""What is found out about a server before anything is paid, and what that changes in creates."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from loop_clock import jump

from providers.servers import VideoServer
from providers.upstreams import Upstream, unused_port, upstream
from reelhook.domain.model_mark import marked
from reelhook.domain.report import Accepted, NotSent, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.openai.server_kind import UNKNOWN_JOB, ServerKind

REQUEST = VideoRequest(prompt="A fox", model="")
JOB = "job_01kc3v9q2f0123456789abcdef"
URL = "https://i.example/fox.png"
PICTURE = "data:image/png;base64,iVBORw0KGgo="
KINDS = (
    ServerKind.SGLANG,
    ServerKind.VLLM_OMNI,
    ServerKind.FASTVIDEO,
    ServerKind.AQUILES,
    ServerKind.TENSORRT_LLM,
    ServerKind.LITELLM,
)


@asynccontextmanager
async def known(kind: ServerKind, **fields: Any) -> AsyncIterator[tuple[VideoServer, OpenAI]]:
    """A server of this kind, and an account there that knows it."""
    async with upstream() as one, OpenAI(one.url, "sk-test") as wire:
        server = VideoServer(one, kind, **fields)
        await wire.get_ready()
        yield server, wire


async def create(wire: OpenAI, request: VideoRequest, job_id: str = JOB) -> object:
    return await wire.submit(wire.prepared(request, job_id))


# -- finding out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_is_recognized_without_a_create(kind: ServerKind) -> None:
    async with known(kind) as (server, wire):
        assert json.loads(wire.learnt)["kind"] == kind.value
        assert server.upstream.posts == 0
        asked = len(server.upstream.seen)
        await wire.get_ready()
        assert len(server.upstream.seen) == asked


async def test_many_creates_at_once_ask_once() -> None:
    async with upstream() as one, OpenAI(one.url) as wire:
        VideoServer(one, ServerKind.SGLANG)
        await asyncio.gather(*(wire.get_ready() for _ in range(50)))
        assert [seen.path for seen in one.seen] == ["/v1/models", f"/v1/videos/{UNKNOWN_JOB}"]


async def test_a_server_that_was_replaced_is_found_out_later() -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        wire.learnt = '{"kind": "sglang", "encoding": "multipart/form-data", "echoes": true}'
        server.kind = ServerKind.AQUILES
        jump(601)
        await wire.get_ready()
        assert json.loads(wire.learnt) == {"kind": "aquiles"}


@pytest.mark.parametrize(
    "fails", ["/v1/models", f"/v1/videos/{UNKNOWN_JOB}"], ids=["models", "unknown job"]
)
@pytest.mark.parametrize("status", [401, 429, 500, 502, 503])
async def test_what_was_known_stays_where_nothing_is_learnt(status: int, fails: str) -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        wire.learnt = '{"echoes": true}'
        response = server.upstream.respond
        assert response is not None

        async def respond(request: web.Request) -> web.StreamResponse:
            if request.path == fails:
                return web.Response(status=status, text="<html>")
            return await response(request)

        server.upstream.respond = respond
        server.kind = ServerKind.FASTVIDEO
        jump(601)
        server.upstream.seen.clear()
        await wire.get_ready()
        assert json.loads(wire.learnt) == {"kind": "sglang", "echoes": True}
        asked = len(server.upstream.seen)
        await wire.get_ready()
        assert len(server.upstream.seen) == asked  # it is left alone for a while
        jump(31)
        await wire.get_ready()
        assert len(server.upstream.seen) > asked


async def test_a_server_that_does_not_answer_holds_nothing_up(server: Upstream) -> None:
    hung = asyncio.Event()

    async def respond(_: web.Request) -> web.StreamResponse:
        hung.set()
        await asyncio.Event().wait()
        raise AssertionError

    server.respond = respond
    async with OpenAI(server.url) as wire:
        ready = asyncio.create_task(wire.get_ready())
        await hung.wait()
        jump(3.1)
        await ready
        assert wire.learnt == ""
        await wire.get_ready()
        assert len(server.seen) == 1


async def test_a_server_that_is_not_there_holds_nothing_up() -> None:
    async with OpenAI(f"http://127.0.0.1:{unused_port()}") as wire:
        await wire.get_ready()
        assert wire.learnt == ""
        assert wire.jobs_at_once is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "x", "encoding": 1, "echoes": "yes"}'])
async def test_what_can_not_be_read_is_not_remembered(server: Upstream, text: str) -> None:
    async with OpenAI(server.url) as wire:
        wire.learnt = text
        assert wire.learnt == ""


# -- encodings ------------------------------------------------------------------------------------


async def test_vllm_omni_gets_a_form_from_the_start() -> None:
    async with known(ServerKind.VLLM_OMNI) as (server, wire):
        assert isinstance(await create(wire, REQUEST), Accepted)
        assert server.upstream.posts == 1


async def test_an_encoding_that_was_learnt_is_not_learnt_again(server: Upstream) -> None:
    unknown = VideoServer(server, ServerKind.UNKNOWN, takes_json=False)
    request = replace(REQUEST, model="m")
    async with OpenAI(server.url) as wire:
        assert isinstance(await create(wire, request), Accepted)
        learnt = wire.learnt
    assert server.posts == 2
    async with OpenAI(server.url) as wire:
        wire.learnt = learnt
        assert isinstance(await create(wire, request), Accepted)
    assert server.posts == 3
    assert len(unknown.jobs) == 2


# -- the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_name_the_only_model_is_taken(kind: ServerKind) -> None:
    async with known(kind) as (server, wire):
        assert isinstance(await create(wire, REQUEST), Accepted)
        assert server.jobs[0].fields["model"] == "Wan-AI/Wan2.1"


async def test_of_several_models_none_is_taken() -> None:
    async with known(ServerKind.LITELLM, models=("one", "two")) as (server, wire):
        assert wire.prepared(REQUEST, JOB) is REQUEST
        await create(wire, REQUEST)
        assert "model" not in server.upstream.seen[-1].json()


async def test_a_name_that_was_given_is_sent() -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        await create(wire, replace(REQUEST, model="sora-2"))
        assert server.jobs[0].fields["model"] == "sora-2"


# -- the length -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "seconds"),
    [
        (ServerKind.VLLM_OMNI, {}, "4"),
        (ServerKind.VLLM_OMNI, {"seconds": "8"}, "8"),
        (ServerKind.VLLM_OMNI, {"options": {"num_frames": 81}}, None),
        (ServerKind.VLLM_OMNI, {"options": {"seconds": 6}}, "6"),
        (ServerKind.SGLANG, {}, None),
        (ServerKind.FASTVIDEO, {}, None),
    ],
)
async def test_four_seconds_are_asked_for_where_there_would_be_one_frame(
    kind: ServerKind, fields: dict[str, Any], seconds: str | None
) -> None:
    async with known(kind) as (server, wire):
        await create(wire, replace(REQUEST, **fields))
        assert server.jobs[0].fields.get("seconds") == seconds


# -- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [URL, PICTURE])
@pytest.mark.parametrize(
    "kind",
    [ServerKind.SGLANG, ServerKind.VLLM_OMNI, ServerKind.FASTVIDEO, ServerKind.TENSORRT_LLM],
)
async def test_an_image_reaches_the_engine(kind: ServerKind, image: str) -> None:
    async with known(kind) as (server, wire):
        assert isinstance(await create(wire, replace(REQUEST, image=image)), Accepted)
        [job] = server.jobs
        assert job.image == (URL if image == URL else b"\x89PNG\r\n\x1a\n")
        assert server.upstream.posts == 1


@pytest.mark.parametrize("kind", [ServerKind.LITELLM, ServerKind.AQUILES])
async def test_an_image_as_a_file_reaches_the_engine(kind: ServerKind) -> None:
    async with known(kind) as (server, wire):
        assert isinstance(await create(wire, replace(REQUEST, image=PICTURE)), Accepted)
        assert server.jobs[0].image == b"\x89PNG\r\n\x1a\n"


async def test_an_image_that_a_server_would_drop_is_refused_unpaid() -> None:
    async with known(ServerKind.AQUILES) as (server, wire):
        outcome = await create(wire, replace(REQUEST, image=URL))
        assert isinstance(outcome, Refused)
        assert outcome.code == "invalid_request"
        assert "Aquiles-Image takes images as files only" in outcome.message
        assert server.upstream.posts == 0


# -- one at a time --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_without_a_queue_takes_one_job(kind: ServerKind) -> None:
    async with known(kind) as (_, wire):
        alone = {ServerKind.FASTVIDEO, ServerKind.AQUILES}
        assert wire.jobs_at_once == (1 if kind in alone else None)


# -- marks ----------------------------------------------------------------------------------------


async def test_a_name_is_marked_once_the_server_has_shown_it_again() -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        first, second = [await create(wire, REQUEST, JOB) for _ in range(2)]
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        names = [job.fields["model"] for job in server.jobs]
        assert names == ["Wan-AI/Wan2.1", marked("Wan-AI/Wan2.1", JOB)]
        entries = (await wire.page(None, 10)).entries
        assert [(one.model, one.mark) for one in entries] == [
            ("Wan-AI/Wan2.1", JOB),
            ("Wan-AI/Wan2.1", None),
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_only_ignored_names_of_listings_without_prompts_are_marked(kind: ServerKind) -> None:
    async with known(kind) as (server, wire):
        for _ in range(2):
            assert isinstance(await create(wire, REQUEST), Accepted)
        names = {job.fields["model"] for job in server.jobs}
        marks = kind in {ServerKind.SGLANG, ServerKind.FASTVIDEO}
        assert names == {"Wan-AI/Wan2.1", *([marked("Wan-AI/Wan2.1", JOB)] if marks else [])}


async def test_a_name_that_is_not_shown_again_is_not_marked() -> None:
    async with known(ServerKind.SGLANG, shows_model=lambda _: "own") as (server, wire):
        for _ in range(2):
            assert isinstance(await create(wire, REQUEST), Accepted)
        assert {job.fields["model"] for job in server.jobs} == {"Wan-AI/Wan2.1"}


async def test_marks_end_where_a_response_does_not_show_one() -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        await create(wire, REQUEST)
        server.shows_model = lambda sent: sent.partition("#")[0]
        await create(wire, REQUEST)
        await create(wire, REQUEST)
        names = [job.fields["model"] for job in server.jobs]
        assert names == ["Wan-AI/Wan2.1", marked("Wan-AI/Wan2.1", JOB), "Wan-AI/Wan2.1"]


async def test_a_create_that_is_refused_for_its_mark_goes_again_without_it() -> None:
    async with known(ServerKind.SGLANG) as (server, wire):
        await create(wire, REQUEST)
        server.refuses = lambda sent: "#" in sent
        outcome = await create(wire, REQUEST)
        assert isinstance(outcome, NotSent)
        assert outcome.ours
        assert isinstance(await create(wire, REQUEST), Accepted)
        assert len(server.jobs) == 2


async def test_a_name_that_looks_marked_is_not_marked_again() -> None:
    async with known(ServerKind.SGLANG) as (_, wire):
        await create(wire, REQUEST)
        request = replace(REQUEST, model=marked("m", JOB))
        assert wire.prepared(request, JOB) is request
