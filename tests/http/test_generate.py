"""The two inherited routes every client uses: ask for a video, ask for its status."""

import re
from datetime import UTC, datetime
from pathlib import Path

from gateways import AT_ONCE, gateway, until

from reelhook.simulator.faults import Faults

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_the_answer_has_the_inherited_keys(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.post(
            "/api/generate",
            json={"walletAddress": "user-wallet", "script": "A" * 60, "renderVersion": "v3"},
        )
        answer = reply.json()
        assert reply.status == 200
        assert re.fullmatch(r"job_[0-9a-z]{26}", answer.pop("jobId"))
        assert answer.pop("message")
        assert answer == {"status": "generating", "title": "A" * 50, "renderVersion": "v3"}


async def test_the_answer_does_not_wait_for_the_provider(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(latency_seconds=30), submit_timeout_seconds=0.5) as server:
        job_id = await server.submit()
        assert (await server.job(job_id))["soraJobId"] is None


async def test_creation_starts_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, poll_seconds=3600) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        assert server.simulator.creations == 1


async def test_the_script_is_rendered_with_the_prompt_before_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_model="studio-1") as server:
        job_id = await server.submit("A fox", prompt="Slowly", seconds="2", size="128x64")
        provider_id = (await server.job_when(job_id, "queued"))["soraJobId"]
        video = server.simulator.jobs[provider_id].video
        assert video.prompt == "Slowly\n\nA fox"
        assert (video.model, video.seconds, video.width, video.height) == ("studio-1", 2, 128, 64)


async def test_a_request_may_name_its_model(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job = await server.job_when(await server.submit(model="studio-2"), "queued")
        assert job["model"] == "studio-2"
        assert server.simulator.jobs[job["soraJobId"]].video.model == "studio-2"


async def test_v3_is_the_default_version(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for given in ({}, {"renderVersion": None}, {"renderVersion": "v3"}):
            reply = await server.post("/api/generate", json={"script": "A fox", **given})
            assert reply.json()["renderVersion"] == "v3"


async def test_the_version_may_be_a_query_parameter(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        path = "/api/generate?renderVersion="
        assert (await server.post(f"{path}v3", json={"script": "A fox"})).status == 200
        refused = await server.post(f"{path}v1", json={"script": "A fox"})
        assert refused.refusal == (400, "invalid_request", "renderVersion")
        assert await server.total() == 1


async def test_keys_we_do_not_know_are_let_pass(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        body = {"script": "A fox", "somethingNew": {"deep": [1, None]}}
        assert (await server.post("/api/generate", json=body)).status == 200


async def test_a_job_that_runs_is_generating(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(queue_seconds=0, render_seconds=10)) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "processing")
        server.time.advance(5)

        async def half_way() -> bool:
            status = await server.get(f"/api/videos/status/{job_id}")
            return bool(status.json()["sora_progress"] == 50)

        await until(half_way)
        job = await server.job(job_id)
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert INSTANT.fullmatch(status["createdAt"])
        assert INSTANT.fullmatch(status["updatedAt"])
        assert status == {
            "jobId": job_id,
            "status": "generating",
            "ready": False,
            "error": None,
            "code": None,
            "createdAt": job["createdAt"],
            "updatedAt": job["updatedAt"],
            "videoAvailable": False,
            "videoUrl": None,
            "posterUrl": None,
            "sora_job_id": job["soraJobId"],
            "sora_status": "processing",
            "sora_progress": 50,
        }


async def test_a_job_that_no_provider_has_yet_has_no_sora_status(tmp_path: Path) -> None:
    async with gateway(tmp_path, upstream="http://127.0.0.1:1/v1") as server:
        job_id = await server.submit()
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        keys = ("status", "sora_job_id", "sora_status", "sora_progress")
        assert [status[key] for key in keys] == ["generating", None, None, 0]


async def test_a_finished_job_is_ready_and_has_our_address(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert status | {"createdAt": "", "updatedAt": "", "sora_job_id": ""} == {
            "jobId": job_id,
            "status": "completed",
            "ready": True,
            "error": None,
            "code": None,
            "createdAt": "",
            "updatedAt": "",
            "videoAvailable": True,
            "videoUrl": f"{server.url}/api/sora/videos/{job_id}/download",
            "posterUrl": None,
            "sora_job_id": "",
            "sora_status": "completed",
            "sora_progress": 100,
        }


async def test_a_failed_job_says_why(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(moderation=1, queue_seconds=0, render_seconds=0)) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "failed")
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert (status["status"], status["code"]) == ("failed", "moderation")
        assert "moderation blocked this job" in status["error"]
        assert (status["ready"], status["videoAvailable"], status["videoUrl"]) == (
            False,
            False,
            None,
        )
        assert status["sora_status"] == "failed"


async def test_a_canceled_job_has_failed_to_the_inherited_clients(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        assert (await server.post(f"/api/jobs/{job_id}/cancel")).status == 200
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        keys = ("status", "error", "code", "sora_status")
        assert [status[key] for key in keys] == ["failed", "canceled", "canceled", "failed"]


async def test_an_unknown_job_is_404_in_the_inherited_words(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get("/api/videos/status/job_nowhere")
        assert (reply.status, reply.json()) == (
            404,
            {"error": "Job not found", "code": "job_not_found"},
        )


async def test_a_key_that_the_provider_refuses_fails_the_job_in_the_providers_words(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, provider_key="sk-right", openai_api_key="sk-wrong") as server:
        job = await server.job_when(await server.submit(), "failed")
        assert (job["error"], job["code"]) == (
            "Missing or incorrect API key.",
            "provider_unauthorized",
        )
        [account] = (await server.get("/api/stats")).json()["accounts"]
        assert account == {
            "id": "openai",
            "provider": "openai",
            "waiting": 0,
            "inFlight": 0,
            "jobsMax": None,
            "healthy": False,
            "error": "Missing or incorrect API key.",
            "stretchedSeconds": None,
            "readsWaitUntil": None,
            "createsWaitUntil": None,
        }


async def test_times_are_utc(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        before = datetime.now(UTC)
        job = await server.job(await server.submit())
        created = datetime.fromisoformat(job["createdAt"])
        assert abs((created - before).total_seconds()) < 10


async def test_a_field_that_is_ignored_is_named_in_a_warning(tmp_path: Path) -> None:
    ignored = {"webhookURL": "http://127.0.0.1/", "n": 2, "user": None, "aspect_ratio": "16:9"}
    async with gateway(tmp_path) as server:
        reply = await server.post("/api/generate", json={"script": "A fox", **ignored})
        assert reply.json()["warnings"] == [
            "webhookURL is no field of this request, so it was ignored; did you mean webhookUrl?",
            "n is no field of this request, so it was ignored",
        ]
