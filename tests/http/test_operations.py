"""Statistics, the watcher's switch, health, and the documentation that the server gives."""

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until

from reelhook.simulator.faults import Faults

ROUTES = {
    ("DELETE", "/api/jobs/{job_id}"),
    *((method, "/v1/videos") for method in ("GET", "POST")),
    *((method, "/v1/videos/{video_id}") for method in ("GET", "DELETE")),
    ("POST", "/v1/videos/{video_id}/remix"),
    ("GET", "/v1/videos/{video_id}/content"),
    *(("POST", f"/v1/videos/{name}") for name in ("edits", "extensions", "characters")),
    ("GET", "/v1/videos/characters/{character_id}"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/v4/ai/config"),
    *(("POST", f"/v4/ai/video-model{path}") for path in ("", "/start", "/status")),
    ("POST", "/api/estimate"),
    ("POST", "/api/encryption/reencrypt"),
    ("POST", "/api/archive/prune"),
    *((method, "/api/projects/{project_id}/budgets") for method in ("GET", "PUT")),
    ("POST", "/api/projects/{project_id}/budgets/raise"),
    *((method, "/api/keys/{key_id}/budgets") for method in ("GET", "PUT")),
    ("POST", "/api/keys/{key_id}/budgets/raise"),
    ("POST", "/api/keys"),
    ("GET", "/api/keys"),
    ("GET", "/api/keys/{key_id}"),
    ("POST", "/api/keys/{key_id}/revoke"),
    ("POST", "/api/keys/{key_id}/rotate"),
    ("POST", "/api/jobs/{job_id}/token"),
    ("POST", "/api/projects"),
    ("GET", "/api/projects"),
    ("GET", "/api/projects/{project_id}"),
    ("PATCH", "/api/projects/{project_id}"),
    ("POST", "/api/projects/{project_id}/close"),
    ("POST", "/api/projects/{project_id}/rotate"),
    ("POST", "/api/generate"),
    ("POST", "/api/uploads"),
    ("GET", "/api/attention"),
    ("GET", "/api/sora/videos/{job_id}/poster"),
    ("GET", "/api/videos/status/{job_id}"),
    ("GET", "/api/sora/videos/{job_id}/download"),
    ("GET", "/api/download"),
    ("GET", "/api/jobs/events"),
    ("GET", "/api/jobs"),
    ("POST", "/api/jobs/register"),
    ("GET", "/api/jobs/{job_id}"),
    ("GET", "/api/jobs/{job_id}/events"),
    ("POST", "/api/jobs/{job_id}/poll"),
    ("POST", "/api/jobs/{job_id}/cancel"),
    ("POST", "/api/jobs/{job_id}/adopt"),
    ("POST", "/api/jobs/{job_id}/abandon"),
    ("GET", "/api/models"),
    ("GET", "/api/costs"),
    ("POST", "/api/estimate"),
    ("POST", "/providers/{provider}/webhook/{token}"),
    ("GET", "/providers/files/{token}"),
    ("GET", "/api/events"),
    ("GET", "/api/endpoints"),
    ("POST", "/api/endpoints"),
    ("GET", "/api/endpoints/{endpoint_id}"),
    ("PATCH", "/api/endpoints/{endpoint_id}"),
    ("DELETE", "/api/endpoints/{endpoint_id}"),
    ("POST", "/api/endpoints/{endpoint_id}/rotate"),
    ("POST", "/api/endpoints/{endpoint_id}/test"),
    ("GET", "/api/deliveries"),
    ("POST", "/api/deliveries/resend"),
    ("GET", "/api/deliveries/resend/{resend_id}"),
    ("GET", "/api/deliveries/{delivery_id}"),
    ("GET", "/api/deliveries/{delivery_id}/attempts"),
    ("POST", "/api/deliveries/{delivery_id}/resend"),
    ("GET", "/api/stats"),
    ("GET", "/api/audit"),
    ("POST", "/api/watcher/pause"),
    ("POST", "/api/watcher/resume"),
    ("POST", "/api/encryption/reencrypt"),
    ("POST", "/api/archive/prune"),
    ("GET", "/.well-known/webhooks/jwks.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    *((method, "/v1/videos") for method in ("GET", "POST")),
    ("GET", "/v1/videos/{video_id}"),
    ("GET", "/v1/videos/{video_id}/content"),
    ("POST", "/v1/videos/{video_id}/remix"),
    *(("POST", f"/v1/videos/{name}") for name in ("edits", "extensions", "characters")),
    ("GET", "/v1/videos/characters/{character_id}"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
}


async def test_statistics_count_jobs_by_status(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        for _ in range(2):
            await server.job_when(await server.submit(), "completed")
        server.simulator.faults = Faults()
        await server.job_when(await server.submit(), "queued")
        stats = (await server.get("/api/stats")).json()
        assert set(stats["watcher"]) == {"paused", "pausedSince", "pollSeconds", "lastRoundAt"}
        del stats["watcher"]["lastRoundAt"]
        assert stats == {
            "jobs": {
                "total": 3,
                "accepted": 0,
                "submitting": 0,
                "queued": 1,
                "processing": 0,
                "completed": 2,
                "failed": 0,
                "canceled": 0,
            },
            "deliveries": {"waiting": 0},
            "endpoints": {"failing": 0, "disabled": 0},
            "watcher": {"paused": False, "pausedSince": None, "pollSeconds": 0.05},
            "accounts": [
                {
                    "id": "openai",
                    "provider": "openai",
                    "waiting": 0,
                    "inFlight": 1,
                    "jobsMax": None,
                    "healthy": True,
                    "error": None,
                    "stretchedSeconds": None,
                    "readsWaitUntil": None,
                    "createsWaitUntil": None,
                }
            ],
        }


async def test_what_waits_for_a_receiver_is_counted(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, webhook_url="http://127.0.0.1:9/hook") as server:
        await server.job_when(await server.submit(), "completed")
        assert (await server.get("/api/stats")).json()["deliveries"] == {"waiting": 1}


def reads(server: Gateway) -> int:
    return server.simulator.requests["list"] + server.simulator.requests["get"]


async def reads_when_quiet(server: Gateway) -> int:
    """Wait until what was in flight has ended: no reads for the time of six rounds."""

    async def quiet() -> bool:
        before = reads(server)
        await asyncio.sleep(0.3)
        return reads(server) == before

    await until(quiet)
    return reads(server)


async def test_pausing_stops_the_reads_and_resuming_brings_them_back(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "processing")
        paused = await server.post("/api/watcher/pause")
        assert (paused.status, paused.json()) == (200, {"paused": True})
        assert (await server.get("/api/stats")).json()["watcher"]["paused"] is True
        before = await reads_when_quiet(server)
        server.time.advance(100)
        await asyncio.sleep(0.3)  # the time of six rounds
        assert reads(server) == before
        assert (await server.job(job_id))["status"] == "processing"
        resumed = await server.post("/api/watcher/resume")
        assert (resumed.status, resumed.json()) == (200, {"paused": False})
        await server.job_when(job_id, "completed")


async def test_a_pause_outlives_a_restart_and_shows(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await server.post("/api/watcher/pause")
    async with gateway(tmp_path) as server:
        watcher = (await server.get("/api/stats")).json()["watcher"]
        assert (watcher["paused"], watcher["pausedSince"][-1]) == (True, "Z")
        ready = await server.get("/readyz")
        assert (ready.status, ready.json()) == (200, {"status": "ready", "watcher": "paused"})
        assert any(line["event"].startswith("The watcher is paused") for line in server.logs)


async def test_resuming_does_not_wait_for_the_next_round(tmp_path: Path) -> None:
    async with gateway(tmp_path, poll_seconds=3600) as server:
        await server.post("/api/watcher/pause")
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        server.time.advance(100)
        await server.post("/api/watcher/resume")
        await server.job_when(job_id, "completed")


async def test_a_paused_watcher_still_submits_and_checks_on_demand(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await server.post("/api/watcher/pause")
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        server.time.advance(100)
        assert (await server.post(f"/api/jobs/{job_id}/poll")).json()["status"] == "completed"


async def test_health_and_readiness(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await server.get("/healthz")).json() == {"status": "ok"}
        assert (await server.get("/readyz")).json() == {"status": "ready", "watcher": "watching"}


async def test_the_documentation_lists_every_route(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        document = (await server.get("/openapi.json")).json()
        listed = {
            (method.upper(), path)
            for path, operations in document["paths"].items()
            for method in operations
        }
        assert listed == ROUTES
        page = await server.get("/docs")
        assert page.headers["Content-Type"].startswith("text/html")
        assert b"/openapi.json" in page.body


async def test_the_documentation_is_made_once_and_off_the_event_loop(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        app: Any = server.hook.asgi
        threads: list[threading.Thread] = []
        made: Callable[[], dict[str, Any]] = app.openapi

        def noted() -> dict[str, Any]:
            threads.append(threading.current_thread())
            return made()

        app.openapi = noted
        for _ in range(2):
            assert (await server.get("/openapi.json")).status == 200
        assert len(threads) == 1
        assert threads[0] is not threading.current_thread()


async def test_the_documentation_describes_the_statistics(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        document = (await server.get("/openapi.json")).json()
        shown = (await server.get("/api/stats")).json()
    content = document["paths"]["/api/stats"]["get"]["responses"]["200"]["content"]
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schemas = document["components"]["schemas"]
    assert set(schemas[name]["properties"]) == set(shown)
    account = schemas["AccountStatsResponse"]
    assert set(account["required"]) == set(shown["accounts"][0])
    assert set(account["properties"]) - set(account["required"]) == {"refused", "unread"}


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_documentation_needs_nothing_from_elsewhere(tmp_path: Path, page: str) -> None:
    async with gateway(tmp_path) as server:
        shown = (await server.get(page)).body.decode()
        needed = re.findall(r'(?:src|href)="([^"]+)"', shown)
        assert any(one.endswith(".js") for one in needed)
        for one in needed:
            assert (await server.get(one)).status == 200, one


async def test_an_unknown_route_is_404_in_the_form_of_all_errors(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get("/api/nowhere")
        assert reply.refusal == (404, "not_found", None)
        assert "/docs" in reply.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/generate", "POST"),
        ("PUT", "/api/projects", "GET, POST"),
        ("GET", "/api/deliveries/resend", "POST"),
        ("POST", "/api/endpoints/ep_none", "DELETE, GET, PATCH"),
    ],
)
async def test_a_wrong_method_is_405_and_names_the_right_ones(
    tmp_path: Path, method: str, path: str, allowed: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.request(method, path)
        assert reply.refusal == (405, "method_not_allowed", None)
        assert reply.headers["Allow"] == allowed
        assert f"takes {allowed}, not {method}" in reply.json()["error"]


async def test_a_wrong_method_of_a_door_with_its_own_form_is_405_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.request("PUT", "/v1/videos")
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")
        assert reply.json()["error"]["code"] == "method_not_allowed"


async def test_an_error_of_our_own_is_500_in_the_form_of_all_errors(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        server.hook.gateway.operations._store = None  # type: ignore[assignment] # the way to break it
        reply = await server.get("/api/stats")
        assert reply.refusal == (500, "internal_error", None)
        (line,) = [line for line in server.logs if line["event"] == "http.failed"]
        assert line["path"] == "/api/stats"


async def test_an_error_at_a_providers_address_logs_no_part_of_that_secret_address(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as server:
        server.hook.gateway.provider_webhooks._callbacks = None  # type: ignore[assignment] # as above
        reply = await server.post("/providers/openai/webhook/job.1.hunter2")
        assert reply.refusal == (500, "internal_error", None)
        (line,) = [line for line in server.logs if line["event"] == "http.failed"]
        assert line["path"] == "/providers/openai/webhook/..."
        assert "hunter2" not in str(line)
