"""What a check says of servers that speak `/v1/videos`, and of those that don't."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from providers.upstreams import Upstream
from reelhook.domain.errors import ProviderError, ProviderUnauthorizedError, ServerUnfitError
from reelhook.ports import ServedModels
from reelhook.providers.http import reads
from reelhook.providers.openai.provider import OpenAI

Said = tuple[int, object, Mapping[str, str]]
UNKNOWN = "/v1/videos/video_00000000000000000000000000000000"
EMPTY_LIST = {"object": "list", "data": []}
PAGE = b"<!doctype html><title>A web page</title>"
NO_ROUTE = {"detail": "Not Found"}


def said(status: int, body: object = None, **headers: str) -> Said:
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


def models(owner: str, *names: str) -> Said:
    cards = [{"id": one, "object": "model", "owned_by": owner} for one in names or ("wan",)]
    return said(200, {"object": "list", "data": cards})


def answering(
    result: Mapping[str, Said], otherwise: Said
) -> Callable[[web.Request], Awaitable[Any]]:
    """Answer these paths so, and all others otherwise; JSON, or bytes as they are."""

    async def respond(request: web.Request) -> web.Response:
        status, body, headers = result.get(request.path, otherwise)
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return respond


SGLANG = {
    "/v1/models": models("sglang", "Wan-AI/Wan2.2"),
    UNKNOWN: said(404, {"detail": "Video not found"}),
    "/v1/videos": said(200, EMPTY_LIST),
    "/health": said(200, {"status": "ok"}),
}
VLLM_OMNI = {
    "/v1/models": models("vllm", "Wan-AI/Wan2.2"),
    UNKNOWN: said(404, {"error": {"message": "Video not found", "type": "x", "code": 404}}),
    "/v1/videos": said(200, EMPTY_LIST),
}
AQUILES = {
    "/v1/models": models("custom"),
    UNKNOWN: said(404, {"detail": "Video not found"}),
    "/v1/videos": said(200, EMPTY_LIST),
    "/v1/health": said(200, {"mode": "x", "devices": ["cuda:0"]}),
}
LITELLM = {
    "/v1/models": models("openai", "veo", "wan"),
    UNKNOWN: said(500, {"error": {"message": "x", "code": "500"}}, x_litellm_version="1.106.2"),
    "/v1/videos": said(400, {"error": {"message": "LLM Provider NOT provided"}}),
}


# -- servers that have it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (SGLANG, "it is SGLang Diffusion, and its jobs can be listed"),
        (VLLM_OMNI, "it is vLLM-Omni, and its jobs can be listed"),
        (AQUILES, "it is Aquiles-Image, and its jobs can be listed"),
        (LITELLM, "it is LiteLLM, and it lists no jobs"),
        ({"/v1/videos": said(200, EMPTY_LIST)}, "its jobs can be listed"),
        (
            {UNKNOWN: said(404, {"error": {"message": "task_not_exist"}})},
            "it responds, but lists no jobs",
        ),
    ],
)
async def test_a_server_is_told_with_its_name(
    server: Upstream, wire: OpenAI, result: Mapping[str, Said], words: str
) -> None:
    server.respond = answering(result, said(404, NO_ROUTE))
    assert await wire.check() == words


async def test_litellm_is_never_asked_for_its_health(server: Upstream, wire: OpenAI) -> None:
    """By `/health` LiteLLM calls all its models, which costs money."""
    server.respond = answering(LITELLM, said(404, NO_ROUTE))
    await wire.check()
    await wire.advice()
    assert not [one.path for one in server.seen if "health" in one.path]


# -- servers that have not ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "listing"),
    [
        (said(404, PAGE), said(404, PAGE)),
        (said(404, b"404 page not found"), said(404, b"404 page not found")),
        (said(404, NO_ROUTE), said(404, NO_ROUTE)),
        (said(404, {"error": {"message": "File Not Found", "code": 404}}), said(404, {})),
        (said(404, {"error": {"message": "Invalid URL (GET /v1/videos/x)"}}), said(404, {})),
        (said(405, {"detail": "Method Not Allowed"}), said(405, {})),
        (said(200, PAGE), said(200, PAGE)),
        (said(200, {"error": "Unexpected endpoint or method. (GET /v1/videos)"}), said(200, {})),
    ],
)
async def test_a_server_without_videos_is_said_to_have_none(
    server: Upstream, wire: OpenAI, unknown: Said, listing: Said
) -> None:
    given = {"/v1/models": models("xinference"), UNKNOWN: unknown, "/v1/videos": listing}
    server.respond = answering(given, said(404, PAGE))
    with pytest.raises(ServerUnfitError, match="has no /v1/videos"):
        await wire.check()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_is_told_where_jobs_are_not_listed_too(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    given = {"/v1/videos": said(405, {}), "/v1/models": models("x")}
    server.respond = answering(given, said(status, {"error": {"message": "wrong key"}}))
    with pytest.raises(ProviderUnauthorizedError, match="wrong key"):
        await wire.check()


async def test_a_server_that_refuses_everything_says_why(server: Upstream, wire: OpenAI) -> None:
    words = "Asynchronous video jobs is not supported with --api-server-count > 1"
    body = {"error": {"message": words, "type": "x", "code": 409}}
    server.respond = answering({"/v1/models": models("vllm")}, said(409, body))
    with pytest.raises(ProviderError, match="Asynchronous video jobs"):
        await wire.check()


# -- servers that are not well --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (said(503, {"status": "unhealthy", "error": "broker exited; restart"}), "broker exited"),
        (said(503, b""), "still starting or warming up"),
    ],
)
async def test_a_server_whose_engine_is_dead_is_told(
    server: Upstream, wire: OpenAI, health: Said, words: str
) -> None:
    server.respond = answering({**SGLANG, "/health": health}, said(404, NO_ROUTE))
    with pytest.raises(ServerUnfitError, match=words):
        await wire.check()


async def test_a_server_that_warms_up_lets_everything_else_wait(
    server: Upstream, wire: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "READ_SECONDS_MAX", 0.3)

    async def respond(request: web.Request) -> web.Response:
        if request.path == "/liveness":
            return web.json_response({"status": "ok"})
        await asyncio.Event().wait()
        raise AssertionError

    server.respond = respond
    with pytest.raises(ServerUnfitError, match="warming up"):
        await wire.check()


# -- advice and models ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "marks"),
    [
        (SGLANG, ["cancel does not stop", "in memory"]),
        (VLLM_OMNI, ["in memory"]),
        (AQUILES, ["cancel does not stop", "no queue", "in memory"]),
        (LITELLM, ["num_retries: 0"]),
        ({}, []),
    ],
)
async def test_what_a_user_would_not_expect_is_said(
    server: Upstream, wire: OpenAI, result: Mapping[str, Said], marks: list[str]
) -> None:
    server.respond = answering(result, said(404, NO_ROUTE))
    found = await wire.advice()
    assert len(found) == len(marks)
    for one, mark in zip(found, marks, strict=True):
        assert mark in one.message
        assert one.costs is (mark == "num_retries: 0")


@pytest.mark.parametrize(
    ("result", "stops", "forgets"),
    [
        (SGLANG, False, True),
        (VLLM_OMNI, True, True),
        (AQUILES, False, True),
        (LITELLM, None, False),
        ({}, None, False),
    ],
)
async def test_what_a_cancel_and_a_restart_come_to_is_known_by_the_kind(
    server: Upstream,
    wire: OpenAI,
    result: Mapping[str, Said],
    stops: bool | None,
    forgets: bool,
) -> None:
    server.respond = answering(result, said(404, NO_ROUTE))
    assert await wire.cancel_stops() is stops
    assert await wire.forgets_when_restarted() is forgets


async def test_a_servers_models_are_told_and_whether_naming_one_matters(
    server: Upstream, wire: OpenAI
) -> None:
    server.respond = answering(SGLANG, said(404, NO_ROUTE))
    assert await wire.served() == ServedModels(("Wan-AI/Wan2.2",), True, "SGLang Diffusion")
    server.respond = answering(LITELLM, said(404, NO_ROUTE))
    assert await wire.served() == ServedModels(("veo", "wan"), False, "LiteLLM")
    server.respond = answering({}, said(404, NO_ROUTE))
    assert await wire.served() == ServedModels(())
    server.respond = answering({}, said(401, {}))
    with pytest.raises(ProviderUnauthorizedError):
        await wire.served()
