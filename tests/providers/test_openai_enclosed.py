"""A job's Video within the text of a gateway's error, and files that servers no longer have."""

import json
from typing import Any

import pytest
from aiohttp import web

from providers.upstreams import Upstream
from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import Failed
from reelhook.providers.openai.provider import OpenAI

VIDEO = {
    "id": "video_gen_1",
    "object": "video",
    "model": "Wan-AI/Wan2.2",
    "status": "failed",
    "error": {"code": 500, "message": "CUDA out of memory {step 3}"},
}
BEFORE = "litellm.InternalServerError: InternalServerError: OpenAIException - "


def _error(message: object) -> dict[str, Any]:
    error = {"message": message, "type": None, "param": None, "code": "500"}
    return {"error": error}


@pytest.mark.parametrize(
    "message",
    [
        BEFORE + json.dumps(VIDEO),
        BEFORE + json.dumps(VIDEO) + "\n\nLiteLLM: model group 'wan' failed with the error above. "
        "No fallback was attempted.",
        json.dumps(VIDEO, indent=2),
        "{'tried': 1} {not json} " + json.dumps(VIDEO) + ' {"object": "list"}',
    ],
)
@pytest.mark.parametrize("status", [500, 404])
async def test_a_failed_video_within_an_errors_message_has_failed(
    server: Upstream, wire: OpenAI, message: str, status: int
) -> None:
    server.answers(status, _error(message))
    reading = await wire.get("video_1")
    assert reading.report == Failed("provider_error", "CUDA out of memory {step 3}")


@pytest.mark.parametrize(
    "message",
    [
        "",
        None,
        [json.dumps(VIDEO)],
        "OpenAIException - {",
        BEFORE + json.dumps(VIDEO)[:-1],
        BEFORE + json.dumps(VIDEO | {"status": "in_progress"}),
        BEFORE + json.dumps(VIDEO | {"object": "list"}),
        BEFORE + json.dumps({key: value for key, value in VIDEO.items() if key != "id"}),
        "{" * 100_000,
        '{"a":' * 50_000,
    ],
    ids=range(10),
)
async def test_anything_less_than_a_failed_video_ends_no_job(
    server: Upstream, wire: OpenAI, message: object
) -> None:
    server.answers(500, _error(message))
    with pytest.raises(ProviderError):
        await wire.get("video_1")


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_what_is_said_of_the_key_or_the_rate_ends_no_job(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    server.answers(status, _error(BEFORE + json.dumps(VIDEO)))
    with pytest.raises(ProviderError):
        await wire.get("video_1")


# -- the file of a job that its server has forgotten ----------------------------------------------


@pytest.mark.parametrize("of_file", [400, 404, 500, 502])
async def test_a_refused_file_of_a_forgotten_job_is_missing(
    server: Upstream, wire: OpenAI, of_file: int
) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.path.endswith("/content"):
            return web.Response(status=of_file)
        return web.json_response({"detail": "Video not found"}, status=404)

    server.respond = respond
    with pytest.raises(ContentMissingError):
        async with wire.content("video_1", "", None):
            pass


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"status": "completed"}), (500, {"error": {"message": "down"}}), (401, {})],
)
async def test_a_refused_file_of_a_job_that_may_be_there_is_tried_again_later(
    server: Upstream, wire: OpenAI, status: int, body: dict[str, Any]
) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.path.endswith("/content"):
            return web.Response(status=500)
        return web.json_response(body, status=status)

    server.respond = respond
    with pytest.raises(ProviderError, match="refused the file with HTTP 500"):
        async with wire.content("video_1", "", None):
            pass
