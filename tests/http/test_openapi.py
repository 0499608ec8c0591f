"""The OpenAPI document holds: whatever is sent, no 5xx, and answers look as it says."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from gateways import AT_ONCE, gateway
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 15
"""Per operation, of right and of wrong requests each."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ERRORS_FORM = {"error", "code", "field"}


def check(response: Any) -> None:
    if response.status_code >= 400:
        error = response.json()
        assert {"error", "code"} <= set(error) <= ERRORS_FORM, error
        assert error["error"]
        assert error["code"]


def fuzz(url: str, job_ids: list[str]) -> Counter[int]:
    """Call every operation of the document with requests made from it; count the statuses."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
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
        @given(case=right | wrong, job_id=st.none() | st.sampled_from(job_ids))
        def call(case: Any, job_id: str | None) -> None:
            if "job_id" in case.path_parameters and job_id is not None:
                case.path_parameters["job_id"] = job_id
            response = case.call(base_url=url, timeout=20)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)
            check(response)

        call()
    return statuses


async def test_no_request_made_from_the_document_breaks_the_server(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_ids = [await server.submit() for _ in range(3)]
        statuses = await asyncio.to_thread(fuzz, server.url, job_ids)
        assert {200, 400, 404} <= set(statuses)
        assert all(status < 500 for status in statuses)
        assert (await server.get("/readyz")).status == 200
        assert not [line for line in server.logs if line["event"] == "http.failed"]
