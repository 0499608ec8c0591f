"""Web pages of the operator's origins may read responses; no others, and never with cookies."""

from pathlib import Path

import pytest
from gateways import AT_ONCE, Gateway, gateway

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
PAGE = "https://app.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization,range",
}


async def test_a_page_of_an_allowed_origin_may_read(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY, cors_origins=f"{PAGE},http://b") as server:
        preflight = await server.request("OPTIONS", "/api/jobs", headers=PREFLIGHT)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Range" in preflight.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in preflight.headers
        job_id = (
            await server.post(
                "/api/generate",
                json={"script": "A fox", "seconds": 1, "size": "64x64"},
                headers={**BEARER, "Origin": PAGE},
            )
        ).json()["jobId"]
        for path, status in ((f"/api/videos/status/{job_id}", 200), ("/api/jobs/none", 404)):
            reply = await server.get(path, headers={**BEARER, "Origin": PAGE})
            assert reply.status == status
            assert reply.headers["Access-Control-Allow-Origin"] == PAGE
            assert "Content-Range" in reply.headers["Access-Control-Expose-Headers"]
        refused = await server.get("/api/jobs", headers={"Origin": PAGE})
        assert refused.refusal == (401, "unauthorized", None)
        assert refused.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil", "null"])
async def test_no_other_origin_may(tmp_path: Path, origin: str) -> None:
    async with gateway(tmp_path, api_key=KEY, cors_origins=PAGE) as server:
        await nothing_granted(server, origin)


async def test_none_may_by_default(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server:
        await nothing_granted(server, PAGE)


async def nothing_granted(server: Gateway, origin: str) -> None:
    preflight = await server.request(
        "OPTIONS", "/api/jobs", headers={**PREFLIGHT, "Origin": origin}
    )
    reply = await server.get("/api/jobs", headers={**BEARER, "Origin": origin})
    assert reply.status == 200
    for headers in (preflight.headers, reply.headers):
        assert "Access-Control-Allow-Origin" not in headers


async def test_the_openai_library_may_call_from_a_browser(tmp_path: Path) -> None:
    names = "arch custom-poll-interval helper-method lang os package-version poll-helper"
    names += " retry-count runtime runtime-version timeout"
    sent = ["authorization", "content-type", "openai-organization", "openai-project"]
    sent += [f"x-stainless-{name}" for name in names.split()]
    asked = {**PREFLIGHT, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = ",".join(sent)
    async with gateway(tmp_path, api_key=KEY, cors_origins=PAGE) as server:
        preflight = await server.request("OPTIONS", "/v1/videos", headers=asked)
        assert preflight.status == 200
        read = await server.get("/v1/videos", headers={**BEARER, "Origin": PAGE})
        exposed = read.headers["Access-Control-Expose-Headers"].lower()
        for name in ("openai-poll-after-ms", "x-should-retry", "retry-after"):
            assert name in exposed
