"""Whose responses these are. Bodies as the vendors' own applications gave them, or their source."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.openai.server_kind import (
    FACTS,
    UNKNOWN_JOB,
    Encoding,
    ModelName,
    ServerKind,
    kind_of,
    served,
)


def _answer(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> ProviderResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ProviderResponse(status, {"Server": "uvicorn"} if headers is None else headers, content)


def _models(owner: object, name: str = "m") -> ProviderResponse:
    card = {"id": name, "object": "model", "created": 1795963166, "owned_by": owner}
    return _answer(200, {"object": "list", "data": [card]})


DETAIL = _answer(404, {"detail": "Video not found"})
VLLM_ERROR = {"message": "Video not found", "type": "Not Found", "param": None, "code": 404}
VLLM = _answer(404, {"error": VLLM_ERROR})
SEVERAL_WORKERS = {
    "message": "Asynchronous video jobs is not supported with --api-server-count > 1 because "
    "the operation uses process-local frontend state",
    "type": "Conflict",
    "param": None,
    "code": 409,
}
TENSORRT = _answer(
    404,
    {
        "object": "error",
        "message": f"Video {UNKNOWN_JOB} not found",
        "type": "NotFoundError",
        "param": None,
        "code": 404,
    },
)
HEALTH = _answer(
    200, {"status": "ok", "model": "wan2.2", "mode": "video", "timestamp": 1, "devices": []}
)
NO_ROUTE = _answer(404, {"detail": "Not Found"})
LITELLM_HEADERS = {"x-litellm-version": "1.106.2"}


@pytest.mark.parametrize(
    ("models", "unknown_job", "health", "kind"),
    [
        (_models("sglang"), DETAIL, NO_ROUTE, ServerKind.SGLANG),
        (_models("vllm"), VLLM, NO_ROUTE, ServerKind.VLLM_OMNI),
        (_models("vllm"), _answer(409, {"error": SEVERAL_WORKERS}), None, ServerKind.VLLM_OMNI),
        (_models("fastvideo"), DETAIL, NO_ROUTE, ServerKind.FASTVIDEO),
        (_models("custom"), DETAIL, HEALTH, ServerKind.AQUILES),
        (_models("tensorrt_llm"), TENSORRT, None, ServerKind.TENSORRT_LLM),
        (
            _answer(200, {"data": [{"id": "m", "owned_by": "openai"}]}, LITELLM_HEADERS),
            _answer(500, {"error": {"message": "x", "code": "500"}}, LITELLM_HEADERS),
            None,
            ServerKind.LITELLM,
        ),
        (_answer(401, {}, {"X-New-Api-Version": "v1.0.0"}), None, None, ServerKind.NEW_API),
        (None, _answer(503, {"error": {"type": "new_api_error"}}), None, ServerKind.NEW_API),
        (_models("openai"), _answer(404, {}, {"openai-version": "x"}), None, ServerKind.OPENAI),
    ],
)
def test_a_server_is_known_by_what_it_says(
    models: ProviderResponse | None,
    unknown_job: ProviderResponse | None,
    health: ProviderResponse | None,
    kind: ServerKind,
) -> None:
    assert kind_of(models, unknown_job, health) is kind


def test_a_gateway_is_known_whatever_server_is_behind_it() -> None:
    gateway = ProviderResponse(404, LITELLM_HEADERS, DETAIL.body)
    assert kind_of(_models("sglang"), gateway) is ServerKind.LITELLM


@pytest.mark.parametrize(
    ("models", "unknown_job", "health"),
    [
        (None, None, None),
        (None, DETAIL, None),
        (_models("sglang"), None, None),  # nothing shows that it has /v1/videos
        (_models("sglang"), NO_ROUTE, None),  # SGLang for texts has not
        (_models("sglang"), _answer(404, b"<html>404 Video not found</html>"), None),
        (_models("sglang"), _answer(502, {"detail": "Video not found"}), None),
        (_models("sglang"), VLLM, None),  # two that contradict each other
        (_models("vllm"), DETAIL, None),
        (_models("vllm"), _answer(404, {"error": {**VLLM_ERROR, "message": "Not Found"}}), None),
        (_models("vllm"), _answer(409, {"detail": "Conflict"}), None),
        (_models("custom"), DETAIL, None),
        (_models("custom"), DETAIL, NO_ROUTE),
        (_models("tensorrt_llm"), DETAIL, None),
        (_models("somebody"), DETAIL, HEALTH),
        (_models(None), DETAIL, None),
        (_models(["sglang"]), DETAIL, None),
        (_answer(200, b"<html>"), DETAIL, None),
        (_answer(200, {"data": {"sglang": 1}}), DETAIL, None),
        (_answer(200, {"data": [1, None]}), DETAIL, None),
        (_answer(200, {"data": []}), DETAIL, None),
        (_answer(500, {"data": [{"id": "m", "owned_by": "sglang"}]}), DETAIL, None),
    ],
)
def test_what_is_not_sure_is_unknown(
    models: ProviderResponse | None,
    unknown_job: ProviderResponse | None,
    health: ProviderResponse | None,
) -> None:
    assert kind_of(models, unknown_job, health) is ServerKind.UNKNOWN


def test_models_of_several_owners_are_a_gateways() -> None:
    cards: list[dict[str, Any]] = [{"id": "a", "owned_by": "sglang"}, {"id": "b", "owned_by": "x"}]
    models = _answer(200, {"data": cards})
    assert kind_of(models, DETAIL) is ServerKind.UNKNOWN
    assert served(models) == ("a", "b")


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        (_models("sglang", "Wan-AI/Wan2.1"), ("Wan-AI/Wan2.1",)),
        (_answer(401, {"data": [{"id": "m"}]}), ()),
        (_answer(200, {"data": [{"id": 1}, {"id": ""}, {}, "m", {"id": "m"}]}), ("m",)),
        (_answer(200, {"data": "m"}), ()),
        (_answer(200, b"<html>"), ()),
        (None, ()),
    ],
)
def test_the_models_that_a_server_has(
    reply: ProviderResponse | None, names: tuple[str, ...]
) -> None:
    assert served(reply) == names


def test_every_kind_has_its_facts() -> None:
    assert set(FACTS) == set(ServerKind)
    assert all(facts.encodings for facts in FACTS.values())


def test_of_an_unknown_server_nothing_is_assumed() -> None:
    facts = FACTS[ServerKind.UNKNOWN]
    assert (facts.queues, facts.delete_stops, facts.memory_only) == (None, None, None)
    assert (facts.jobs_at_once, facts.default_seconds) == (None, None)
    assert facts.model_name is ModelName.UNKNOWN


def test_a_server_without_a_queue_gets_one_job_at_a_time() -> None:
    one_by_one = {kind for kind, facts in FACTS.items() if facts.jobs_at_once == 1}
    assert one_by_one == {ServerKind.FASTVIDEO, ServerKind.AQUILES}


def test_vllm_omni_takes_forms_alone() -> None:
    assert FACTS[ServerKind.VLLM_OMNI].encodings == (Encoding.FORM,)
    assert Encoding.FORM.other is Encoding.JSON
    assert Encoding.JSON.other is Encoding.FORM
