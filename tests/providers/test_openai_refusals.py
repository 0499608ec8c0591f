"""Refusals that are definite, by kind of server, and the much that stays in doubt."""

import json
from dataclasses import replace
from typing import Any

import pytest

from providers.upstreams import Upstream
from reelhook.domain.report import InDoubt, RateLimited, Refused, SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.openai.server_kind import ServerKind

REQUEST = VideoRequest(prompt="A fox", model="m", size="1280x720")

SGLANG = {"error": "Offline request broker exited; restart the server."}
LIMIT = "The limit of 1 concurrent tasks has been reached. Please try again later."
NO_VIDEOS = "Model 'flux' does not generate videos."
NEW_API = {
    "code": "model_not_found",
    "message": "No available channel for model m under group default (distributor)",
    "type": "new_api_error",
}


def vllm(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", "param": None, "code": status}}


async def result(
    server: Upstream, kind: ServerKind, status: int, body: object, **fields: Any
) -> SubmitOutcome:
    """Return what a create brings that this kind of server answers so."""
    async with OpenAI(server.url, now=lambda: 0.0) as wire:
        wire.learnt = json.dumps({"kind": kind.value})
        headers = fields.pop("headers", None)
        text = body if isinstance(body, str) else None
        server.answers(status, body, text=text, headers=headers)
        outcome = await wire.submit(replace(REQUEST, **fields))
        assert server.posts == 1
        return outcome


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome"),
    [
        (ServerKind.SGLANG, 503, SGLANG, Refused("provider_error", SGLANG["error"])),
        (
            ServerKind.VLLM_OMNI,
            409,
            vllm(409, "Asynchronous video jobs is not supported with --api-server-count > 1"),
            Refused(
                "provider_error",
                "Asynchronous video jobs is not supported with --api-server-count > 1",
            ),
        ),
        (
            ServerKind.VLLM_OMNI,
            503,
            vllm(503, "Video generation handler not initialized."),
            Refused("provider_error", "Video generation handler not initialized."),
        ),
        (
            ServerKind.VLLM_OMNI,
            500,
            vllm(500, "Video generation setup failed: no stage"),
            Refused("provider_error", "Video generation setup failed: no stage"),
        ),
        (ServerKind.AQUILES, 503, {"detail": LIMIT}, RateLimited(None, LIMIT)),
        (ServerKind.AQUILES, 503, {"detail": NO_VIDEOS}, Refused("invalid_request", NO_VIDEOS)),
        (
            ServerKind.NEW_API,
            503,
            {"error": NEW_API},
            Refused("invalid_request", NEW_API["message"]),
        ),
        (  # it says itself who it is
            ServerKind.UNKNOWN,
            503,
            {"error": NEW_API},
            Refused("invalid_request", NEW_API["message"]),
        ),
    ],
)
async def test_what_a_server_says_before_it_stores_a_job_is_definite(
    server: Upstream, kind: ServerKind, status: int, body: object, outcome: SubmitOutcome
) -> None:
    assert await result(server, kind, status, body) == outcome


async def test_a_busy_server_says_how_long_to_wait(server: Upstream) -> None:
    outcome = await result(
        server, ServerKind.AQUILES, 503, {"detail": LIMIT}, headers={"Retry-After": "9"}
    )
    assert outcome == RateLimited(9.0, LIMIT)


@pytest.mark.parametrize(
    "fields",
    [{"size": "832x480"}, {"size": None, "resolution": "480p", "aspect_ratio": "16:9"}],
)
async def test_a_size_that_the_server_does_not_know_is_named(
    server: Upstream, fields: dict[str, Any]
) -> None:
    outcome = await result(server, ServerKind.AQUILES, 500, "Internal Server Error", **fields)
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_request"
    assert outcome.message == (
        "The server takes the sizes 1280x720, 720x1280, 1792x1024, 1024x1792, not 832x480"
    )


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        # another kind's, or nobody's, words
        *((kind, 503, SGLANG) for kind in ServerKind if kind is not ServerKind.SGLANG),
        *((kind, 409, vllm(409, "x")) for kind in ServerKind if kind is not ServerKind.VLLM_OMNI),
        *((kind, 503, {"detail": LIMIT}) for kind in ServerKind if kind is not ServerKind.AQUILES),
        (ServerKind.SGLANG, 503, {"error": "no healthy upstream"}),
        (ServerKind.SGLANG, 503, {"error": {"message": "exited; restart the server."}}),
        (ServerKind.SGLANG, 502, SGLANG),
        (ServerKind.SGLANG, 500, "Internal Server Error"),
        (ServerKind.SGLANG, 503, "<html>503</html>"),
        (ServerKind.VLLM_OMNI, 409, {"error": {"message": "x", "code": "409"}}),
        (ServerKind.VLLM_OMNI, 409, {"detail": "x"}),
        (ServerKind.VLLM_OMNI, 500, vllm(500, "CUDA")),
        (ServerKind.VLLM_OMNI, 502, vllm(502, "x")),
        (ServerKind.VLLM_OMNI, 504, vllm(504, "x")),
        (ServerKind.FASTVIDEO, 500, "Internal Server Error"),
        (ServerKind.AQUILES, 503, {"detail": "'NoneType' object has no attribute 'x'"}),
        (ServerKind.AQUILES, 500, "Internal Server Error"),  # its size is one that is known
        (ServerKind.AQUILES, 500, {"detail": LIMIT}),
        (ServerKind.NEW_API, 503, {"error": NEW_API | {"code": "get_channel_failed"}}),
        (ServerKind.NEW_API, 503, {"error": NEW_API | {"type": "upstream_error"}}),
        (ServerKind.NEW_API, 500, {"error": NEW_API}),
        (ServerKind.LITELLM, 503, {"error": {"message": "x", "code": "503"}}),
        (ServerKind.LITELLM, 409, {"error": {"message": "x", "code": "409"}}),
    ],
)
async def test_whatever_else_leaves_it_open_stays_in_doubt(
    server: Upstream, kind: ServerKind, status: int, body: object
) -> None:
    assert isinstance(await result(server, kind, status, body), InDoubt)


async def test_a_gateways_response_is_not_the_servers_behind_it(server: Upstream) -> None:
    headers = {"x-litellm-version": "1.106.2"}
    outcome = await result(server, ServerKind.SGLANG, 503, SGLANG, headers=headers)
    assert isinstance(outcome, InDoubt)


NEW_API_ERROR: dict[str, str] = NEW_API | {"code": "do_request_failed"}


@pytest.mark.parametrize(
    ("kind", "status", "body", "headers", "ended"),
    [
        (ServerKind.SGLANG, 500, {"error": "x"}, {}, True),
        (ServerKind.UNKNOWN, 503, {"error": "x"}, {}, True),
        (ServerKind.LITELLM, 500, {"error": {"message": "x", "code": "500"}}, {}, False),
        (ServerKind.LITELLM, 409, {"error": {"message": "x", "code": "409"}}, {}, False),
        (ServerKind.NEW_API, 500, {"error": NEW_API_ERROR}, {}, False),
        (ServerKind.UNKNOWN, 500, {"error": NEW_API_ERROR}, {}, False),
        (ServerKind.SGLANG, 500, {"error": "x"}, {"x-litellm-version": "1.106.2"}, False),
        (ServerKind.UNKNOWN, 503, {"error": "x"}, {"x-oneapi-request-id": "1"}, False),
    ],
)
async def test_what_a_gateway_refuses_may_still_be_under_way_behind_it(
    server: Upstream,
    kind: ServerKind,
    status: int,
    body: object,
    headers: dict[str, str],
    ended: bool,
) -> None:
    outcome = await result(server, kind, status, body, headers=headers)
    assert isinstance(outcome, InDoubt)
    assert outcome.ended is ended


async def test_a_size_is_not_blamed_where_the_size_is_the_servers_own(server: Upstream) -> None:
    outcome = await result(server, ServerKind.AQUILES, 500, "Internal Server Error", size=None)
    assert isinstance(outcome, InDoubt)
