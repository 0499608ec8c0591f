"""The OpenAPI document holds: whatever is sent, no 5xx, and answers look as it says."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from gateways import AT_ONCE, ERROR_FIELDS, Gateway, gateway
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from reelhook.domain.encryption import key_text
from reelhook.doors.openai.ids import video_id

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
EXAMPLES = 15
"""Per operation, of right and of wrong requests each."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
NOBODY = "http://127.0.0.1:2/hook"
NEVER_CARRIED_OUT = {
    "GET /api/jobs/events",
    "GET /api/download",
    "POST /api/jobs/{job_id}/cancel",
    "POST /api/jobs/{job_id}/adopt",
    "POST /api/jobs/{job_id}/abandon",
    "POST /api/projects/{project_id}/budgets/raise",
    "POST /api/keys/{key_id}/budgets/raise",
    "POST /providers/{provider}/webhook/{token}",
    "GET /providers/files/{token}",
    "POST /v1/videos/edits",
    "POST /v1/videos/extensions",
    "POST /v1/videos/characters",
    "GET /v1/videos/characters/{character_id}",
}
"""They need a job's id in the query, one that runs or is in doubt, higher limits than those of a
budget until a time to come, files that are files by their bytes, or an address that nobody can
guess; or they only refuse. All others are carried out."""

MAY_BE_REFUSED = {
    "GET /api/sora/videos/{job_id}/poster",
    "POST /v4/ai/video-model",
    "POST /v4/ai/video-model/start",
}
"""Posters are made after the jobs have ended; few of the generated bodies fit the model they name.
"""


def check(response: Any) -> None:
    if response.status_code >= 400:
        error = response.json()
        if response.request.path_url.startswith(("/v1/", "/v4/ai/")):
            error = error["error"]
            assert {"message", "type", "param", "code"} <= set(error), error
            assert error["message"]
            assert error["code"]
            return
        assert {"error", "code"} <= set(error) <= ERROR_FIELDS, error
        assert error["error"]
        assert error["code"]


def fuzz(url: str, known: dict[str, list[Any]]) -> dict[str, Counter[int]]:
    """Call every operation of the document with requests made from it; count the statuses.

    `known` has three right values each, by the name of the parameter or field.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operations.append(found.ok())
    # The records come first, and then the ends of them.
    ends = ("/close", "/revoke")
    operations.sort(key=lambda one: one.method.upper() == "DELETE" or one.path.endswith(ends))
    return {one.label: call_with_many(one, url, known) for one in operations}


def call_with_many(operation: Any, url: str, known: dict[str, list[Any]]) -> Counter[int]:
    statuses: Counter[int] = Counter()
    right = operation.as_strategy()
    wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong, number=st.sampled_from((None, 0, 1, 2)))
    def call(case: Any, number: int | None) -> None:
        for given_ in (case.path_parameters, case.query, case.body):
            if number is not None and isinstance(given_, dict):
                given_ |= {name: known[name][number] for name in known.keys() & given_.keys()}
        response = case.call(base_url=url, headers=BEARER, timeout=20)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        check(response)

    call()
    return statuses


async def operations(folder: Path) -> dict[str, Any]:
    """Return the operations of the document, by method and path."""
    async with gateway(folder, api_key=KEY, headers=BEARER) as server:
        document = (await server.get("/openapi.json")).json()
        return {
            f"{method.upper()} {path}": operation
            for path, of_path in document["paths"].items()
            for method, operation in of_path.items()
        }


async def test_every_operation_documents_the_refusals_of_the_guard(tmp_path: Path) -> None:
    for label, operation in (await operations(tmp_path)).items():
        expected = {"500", "503", "4XX", "5XX"}
        if operation.get("security") != []:
            expected |= {"400", "401", "403", "429"}
        if "requestBody" in operation:
            expected |= {"413", "415"}
        responses = operation["responses"]
        assert expected <= responses.keys(), label
        assert all("application/json" in responses[status]["content"] for status in expected), label
        assert list(responses) == sorted(responses), label


async def test_every_success_has_a_media_type_unless_it_is_empty(tmp_path: Path) -> None:
    found = await operations(tmp_path)
    for label, operation in found.items():
        for status, response in operation["responses"].items():
            assert "content" in response or status in {"204", "302", "304"}, (label, status)
    assert set(found["GET /api/jobs/events"]["responses"]["200"]["content"]) == {
        "text/event-stream"
    }
    download = found["GET /api/sora/videos/{job_id}/download"]["responses"]
    assert {"200", "206", "302", "304", "410", "416"} <= download.keys()


@pytest.mark.long
async def test_no_request_made_from_the_document_breaks_the_server(tmp_path: Path) -> None:
    # With the operator's key, since a key that is made ends the access without one.
    secret = key_text(bytes(32))
    async with gateway(
        tmp_path, AT_ONCE, api_key=KEY, headers=BEARER, encryption_keys=secret
    ) as server:
        known = await ids_there_are(server)
        counts = await asyncio.to_thread(fuzz, server.url, known)
        statuses = sum(counts.values(), Counter[int]())
        assert {200, 201, 202, 204, 400, 404, 409} <= set(statuses)
        assert all(status < 500 for status in statuses)
        refused = {label for label, one in counts.items() if min(one) >= 300}
        assert refused - MAY_BE_REFUSED == NEVER_CARRIED_OUT
        assert (await server.get("/readyz")).status == 200
        assert not [line for line in server.logs if line["event"] == "http.failed"]


async def ids_there_are(server: Gateway) -> dict[str, list[Any]]:
    """Make three of everything that has an id."""
    endpoints = [(await server.endpoint(NOBODY))["id"] for _ in range(3)]
    jobs = [await server.submit(endpoints=endpoints) for _ in range(6)]
    for job_id in jobs:
        await server.job_when(job_id, "completed")
    runs = [
        await server.post("/api/deliveries/resend", json={"since": "2026-01-31T10:00Z"})
        for _ in range(3)
    ]
    projects = [
        (await server.post("/api/projects", json={"name": f"shop{number}"})).json()["id"]
        for number in range(3)
    ]
    key = {"name": "app", "scopes": ["read"]}
    keys = [(await server.post("/api/keys", json=key)).json()["id"] for _ in range(3)]
    return {
        "job_id": jobs[:3],
        "video_id": [video_id(one) for one in jobs[3:]],  # others, since both are deleted
        "operation": [{"jobId": one} for one in jobs[:3]],
        "model": ["openai/sora-2", "sora-2", "openai"],
        "endpoint_id": endpoints,
        "delivery_id": [str(one["id"]) for one in await server.deliveries()],
        "resend_id": [run.json()["id"] for run in runs],
        "key_id": keys,
        "project_id": projects,
        "project": ["default"] * 3,
        "url": [NOBODY] * 3,
    }
