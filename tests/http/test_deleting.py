"""Deleting jobs over HTTP: what is gone, what stays, and what can't be deleted."""

from pathlib import Path

from callers import AS_OURS, AS_THEIRS, OURS, admit_callers, caller
from gateways import AT_ONCE, SMALL, gateway
from receivers import receiver
from stub_providers import stub_provider

from reelhook.domain.request import VideoRequest
from reelhook.simulator.faults import Faults

FOX = {"script": "A fox", **SMALL}


async def test_a_deleted_job_is_404_on_every_route(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await client.ending(job_id)
        delivery = (await server.delivery_when("delivered", jobId=job_id))["id"]
        reply = await server.delete(f"/api/jobs/{job_id}")
        assert (reply.status, reply.body) == (204, b"")
        for method, path in (
            ("GET", f"/api/jobs/{job_id}"),
            ("DELETE", f"/api/jobs/{job_id}"),
            ("GET", f"/api/jobs/{job_id}/events"),
            ("POST", f"/api/jobs/{job_id}/poll"),
            ("POST", f"/api/jobs/{job_id}/cancel"),
            ("GET", f"/api/videos/status/{job_id}"),
            ("GET", f"/api/sora/videos/{job_id}/download"),
            ("GET", f"/api/download?jobId={job_id}"),
            ("GET", f"/api/jobs/events?jobIds={job_id}"),
        ):
            reply = await server.request(method, path)
            assert reply.refusal == (404, "job_not_found", None), path
        resent = await server.post(f"/api/deliveries/{delivery}/resend", json={})
        assert resent.refusal == (404, "delivery_not_found", None)
        assert (await server.get("/api/jobs")).json()["jobs"] == []
        assert (await server.get("/api/events")).json()["events"] == []
        assert (await server.get("/api/stats")).json()["jobs"]["total"] == 0
        (line,) = (await server.get("/api/costs")).json()["costs"]
        assert line["jobs"] == 1
        trail = (await server.get(f"/api/audit?target={job_id}")).json()["entries"]
        assert [(one["action"], one["actor"]) for one in trail] == [("job.deleted", "operator")]


async def test_an_unfinished_job_is_canceled_first(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await server.job_when(job_id, "processing")
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        assert server.simulator.requests["delete"] == 1
        trail = (await server.get(f"/api/audit?target={job_id}")).json()["entries"]
        assert [one["action"] for one in trail] == ["job.deleted", "job.canceled"]


async def test_where_the_provider_can_not_cancel_nothing_is_deleted(tmp_path: Path) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.delete_status = 405
        job_id = await server.submit()
        await server.job_when(job_id, "processing")
        reply = await server.delete(f"/api/jobs/{job_id}")
        assert reply.refusal == (409, "not_cancelable", None)
        assert "delete it once it has ended" in reply.json()["error"]
        assert (await server.job(job_id))["status"] == "processing"


async def test_a_job_that_waits_is_deleted_and_never_created(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(rate_limited=1)) as server:
        job_id = await server.submit()
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        server.simulator.faults = AT_ONCE
        await server.job_when(await server.submit(), "completed")
        assert server.simulator.creations == 1


async def test_a_repeated_request_for_a_deleted_job_pays_for_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        key = {"Idempotency-Key": "order-7"}
        first = await server.post("/api/generate", json=FOX, headers=key)
        job_id = first.json()["jobId"]
        await server.job_when(job_id, "completed")
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        again = await server.post("/api/generate", json=FOX, headers=key)
        assert again.refusal == (409, "job_deleted", None)
        assert (again.json()["jobId"], "Idempotency-Key" in again.json()["error"]) == (job_id, True)
        assert server.simulator.creations == 1


async def test_a_deleted_job_s_id_and_video_can_not_be_registered_again(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit()
        video = (await server.job_when(job_id, "completed"))["soraJobId"]
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        reply = await server.post("/api/jobs/register", json={"soraJobId": video})
        assert reply.refusal == (409, "job_deleted", None)
        reply = await server.post(
            "/api/jobs/register", json={"soraJobId": "video_other", "jobId": job_id}
        )
        assert reply.refusal == (409, "job_id_taken", None)


async def test_a_webhook_that_waits_for_a_deleted_job_is_dropped(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        client.status = 500
        job_id = await server.submit(webhookUrl=client.url)
        await client.ending(job_id)
        await server.delivery_when("waiting", jobId=job_id)
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        assert (await server.get("/api/stats")).json()["deliveries"]["waiting"] == 0


async def test_another_project_can_not_delete_a_job(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        admit_callers(server)
        video = VideoRequest("A fox", model="openai/sora-2", seconds="1", size="64x64")
        job_id = (await server.hook.gateway.new_jobs.submit(caller(OURS), video)).job_id
        await server.job_when(job_id, "completed")
        foreign = await server.delete(f"/api/jobs/{job_id}", headers=AS_THEIRS)
        assert foreign.refusal == (404, "job_not_found", None)
        assert (await server.delete(f"/api/jobs/{job_id}", headers=AS_OURS)).status == 204
