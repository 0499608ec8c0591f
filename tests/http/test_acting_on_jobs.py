"""Checking a job now, and canceling it."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver
from stub_providers import stub_provider

from reelhook.simulator.faults import Faults

NEVER = 3600
"""Seconds between rounds, so that only what a test asks for is read."""


async def running(server: Gateway, **fields: str) -> str:
    job_id = await server.submit(**fields)
    await server.job_when(job_id, "processing")
    return job_id


# -- check now ------------------------------------------------------------------------------------


async def test_a_check_brings_the_change_at_once(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, poll_seconds=NEVER) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await server.job_when(job_id, "queued")
        server.time.advance(100)
        reply = await server.post(f"/api/jobs/{job_id}/poll")
        assert (reply.status, reply.json()["status"]) == (200, "completed")
        assert (await client.ending(job_id)).body["status"] == "completed"


async def test_a_check_without_news_changes_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, poll_seconds=NEVER) as server:
        job_id = await server.submit()
        before = await server.job_when(job_id, "queued")
        after = (await server.post(f"/api/jobs/{job_id}/poll")).json()
        assert after.pop("lastCheckedAt") >= (before.pop("lastCheckedAt") or "")
        assert after == before


async def test_a_check_of_an_ended_job_asks_no_one(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, poll_seconds=NEVER) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        asked = server.simulator.requests["get"]  # the listing is read for other reasons too
        assert (await server.post(f"/api/jobs/{job_id}/poll")).json()["status"] == "completed"
        assert server.simulator.requests["get"] == asked


async def test_a_check_that_fails_is_502_and_leaves_the_job_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path, poll_seconds=NEVER) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        server.simulator.faults = Faults(server_error=1)
        reply = await server.post(f"/api/jobs/{job_id}/poll")
        assert reply.refusal == (502, "provider_unavailable", None)
        assert (await server.job(job_id))["status"] == "queued"


async def test_an_unknown_job_is_404(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for action in ("poll", "cancel"):
            reply = await server.post(f"/api/jobs/job_nowhere/{action}")
            assert reply.refusal == (404, "job_not_found", None)


# -- cancel ---------------------------------------------------------------------------------------


async def test_canceling_ends_the_job_here_and_at_the_provider(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await running(server, webhookUrl=client.url)
        reply = await server.post(f"/api/jobs/{job_id}/cancel")
        assert reply.status == 200
        job = reply.json()
        assert (job["status"], job["error"], job["code"]) == ("canceled", "canceled", "canceled")
        assert server.simulator.requests["delete"] == 1
        assert not server.simulator.jobs
        ending = (await client.ending(job_id)).body
        assert (ending["status"], ending["error"], ending["code"]) == (
            "failed",
            "canceled",
            "canceled",
        )


async def test_canceling_twice_is_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await running(server)
        first = await server.post(f"/api/jobs/{job_id}/cancel")
        again = await server.post(f"/api/jobs/{job_id}/cancel")
        assert (first.status, first.body) == (again.status, again.body)
        assert server.simulator.requests["delete"] == 1


async def test_a_job_that_was_never_submitted_is_canceled_here_alone(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(rate_limited=1)) as server:
        job_id = await server.submit(webhookUrl=client.url)

        async def was_refused() -> bool:
            return server.simulator.requests["create"] > 0

        await until(was_refused)
        await server.job_when(job_id, "accepted")
        job = (await server.post(f"/api/jobs/{job_id}/cancel")).json()
        assert (job["status"], job["soraJobId"]) == ("canceled", None)
        assert server.simulator.creations == 0
        assert (await client.ending(job_id)).body["soraJobId"] is None


async def test_canceling_waits_for_the_outcome_of_a_submit_under_way(tmp_path: Path) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.may_create.clear()
        job_id = await server.submit()
        await server.job_when(job_id, "submitting")
        canceling = asyncio.create_task(server.post(f"/api/jobs/{job_id}/cancel"))
        for _ in range(3):
            assert (await server.job(job_id))["status"] == "submitting"
        assert not canceling.done()
        provider.may_create.set()
        assert (await canceling).json()["status"] == "canceled"
        assert provider.deletes == ["video_1"]


async def test_a_server_that_stops_does_not_let_a_cancel_wait(tmp_path: Path) -> None:
    async with stub_provider() as provider, aiohttp.ClientSession() as session:
        provider.may_create.clear()
        async with gateway(tmp_path, upstream=provider.url, submit_timeout_seconds=0.5) as server:
            server.session = session
            job_id = await server.submit()
            await server.job_when(job_id, "submitting")
            canceling = asyncio.create_task(server.post(f"/api/jobs/{job_id}/cancel"))
            for _ in range(3):
                await server.job(job_id)
        assert (await canceling).refusal == (409, "submission_pending", None)


async def test_where_the_provider_can_not_cancel_409_says_that_it_is_paid_for(
    tmp_path: Path,
) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        job_id = await running(server)
        for status in (400, 404, 405, 409, 501):
            provider.delete_status = status
            reply = await server.post(f"/api/jobs/{job_id}/cancel")
            assert reply.refusal == (409, "not_cancelable", None)
            assert "paid for" in reply.json()["error"]
            assert "force" in reply.json()["error"]
        assert (await server.job(job_id))["status"] == "processing"


@pytest.mark.parametrize("status", [405, 500])
async def test_force_stops_watching_all_the_same(tmp_path: Path, status: int) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.delete_status = status
        job_id = await running(server)
        reply = await server.post(f"/api/jobs/{job_id}/cancel", json={"force": True})
        assert (reply.status, reply.json()["status"]) == (200, "canceled")
        provider.video("video_1", status="completed")
        assert (await server.post(f"/api/jobs/{job_id}/poll")).json()["status"] == "canceled"


async def test_a_provider_that_can_not_be_asked_is_not_one_that_can_not_cancel(
    tmp_path: Path,
) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.delete_status = 500
        job_id = await running(server)
        reply = await server.post(f"/api/jobs/{job_id}/cancel")
        assert reply.refusal == (502, "provider_unavailable", None)
        assert (await server.job(job_id))["status"] == "processing"


async def test_a_change_seen_while_canceling_does_not_undo_it(tmp_path: Path) -> None:
    """The provider has canceled, then our write loses to a read: it must not be asked again."""
    async with (
        stub_provider() as provider,
        gateway(tmp_path, upstream=provider.url, poll_seconds=NEVER) as server,
    ):
        job_id = await server.submit()
        await server.job_when(job_id, "processing")

        async def progress_is_seen() -> None:
            provider.video("video_1", progress=77)
            checked = await server.post(f"/api/jobs/{job_id}/poll")
            assert checked.json()["progress"] == 77

        provider.on_delete = progress_is_seen
        reply = await server.post(f"/api/jobs/{job_id}/cancel")
        assert (reply.status, reply.json()["status"]) == (200, "canceled")
        assert provider.deletes == ["video_1"]


async def test_an_ended_job_can_not_be_canceled(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        for body in ({}, {"force": True}):
            reply = await server.post(f"/api/jobs/{job_id}/cancel", json=body)
            assert reply.refusal == (409, "job_ended", None)
        assert (await server.job(job_id))["status"] == "completed"


async def test_force_must_be_true_or_false(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit()
        for force in ("yes", 1, None):
            reply = await server.post(f"/api/jobs/{job_id}/cancel", json={"force": force})
            assert reply.refusal == (400, "invalid_request", "force")
            assert "true or false" in reply.json()["error"]
