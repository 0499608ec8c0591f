"""Jobs in doubt: listed, adopted, abandoned."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway
from receivers import receiver

from reelhook.simulator.faults import Faults

LOST = Faults(queue_seconds=0, render_seconds=30, lost_create=1)
LOST_IN_QUEUE = Faults(queue_seconds=30, render_seconds=30, lost_create=1)
"""Ark calls when a render begins, and so may settle a doubt before it is given up."""
MODEL = "xai/grok-imagine-video"


@asynccontextmanager
async def doubting(
    tmp_path: Path, *providers: str, settle_seconds: float = 0, **options: Any
) -> AsyncIterator[Gateway]:
    """A gateway whose providers take jobs and don't say so."""
    async with gateway(
        tmp_path,
        LOST,
        providers=providers or ("xai",),
        submit_settle_seconds=settle_seconds,
        **options,
    ) as server:
        yield server


async def doubt(server: Gateway, script: str = "A fox", **fields: Any) -> tuple[str, str]:
    """Return a job in doubt, and what its provider calls it."""
    known = set(server.simulator.jobs)
    job_id = await server.submit(script, **{"model": MODEL, "size": None, **fields})
    job = await server.job_when(job_id, "failed")
    assert job["code"] == "submission_unknown"
    [created] = set(server.simulator.jobs) - known
    return job_id, created


async def in_doubt(server: Gateway) -> list[str]:
    reply = await server.get("/api/jobs", params={"inDoubt": "true"})
    assert reply.status == 200
    return [one["jobId"] for one in reply.json()["jobs"]]


async def adopt(server: Gateway, job_id: str, provider_job_id: str) -> Any:
    return await server.post(f"/api/jobs/{job_id}/adopt", json={"soraJobId": provider_job_id})


async def test_jobs_in_doubt_are_listed_oldest_first_and_say_so(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        first, _ = await doubt(server, "first")
        second, _ = await doubt(server, "second")
        assert await in_doubt(server) == [first, second]
        assert (await server.job(first))["inDoubt"] is True
        server.simulator.faults = AT_ONCE
        fine = await server.submit(model=MODEL, size=None)
        assert (await server.job_when(fine, "completed"))["inDoubt"] is False
        assert await in_doubt(server) == [first, second]


async def test_an_adopted_job_has_the_request_and_the_endpoints_and_is_watched(
    tmp_path: Path,
) -> None:
    async with receiver() as client, doubting(tmp_path) as server:
        endpoint = await server.endpoint(f"{client.url}/registered")
        everywhere = await server.endpoint(f"{client.url}/all", broadcast=True)
        asked = {"webhookUrl": client.url, "endpoints": [endpoint["id"]], "seconds": 5}
        labels = {"externalId": "7", "metadata": {"order": "4711"}}
        job_id, created = await doubt(server, "A fox looks for a hat", **asked, **labels)
        reply = await adopt(server, job_id, created)
        assert reply.status == 200
        job = reply.json()
        assert job["jobId"] != job_id
        assert (job["adoptedFrom"], job["soraJobId"]) == (job_id, created)
        assert (job["title"], job["seconds"]) == ("A fox looks for a hat", "5")
        assert (job["account"], job["model"]) == ("xai", "grok-imagine-video")
        assert job["webhookUrl"] == client.url
        assert labels.items() <= job.items()
        assert await in_doubt(server) == []

        server.time.advance(60)
        await server.job_when(job["jobId"], "completed")
        ending = (await client.ending(job["jobId"])).body
        assert ending["status"] == "completed"
        endpoints = {(one["endpointId"]) for one in await server.deliveries(jobId=job["jobId"])}
        assert {endpoint["id"], everywhere["id"]} < endpoints
        assert len(endpoints) == 3
        before = await server.job(job_id)
        assert (before["status"], before["inDoubt"]) == ("failed", False)


async def test_adopting_twice_is_once(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        job_id, created = await doubt(server)
        replies = await asyncio.gather(*(adopt(server, job_id, created) for _ in range(5)))
        replies.append(await adopt(server, job_id, created))
        assert {reply.status for reply in replies} == {200}
        assert len({reply.json()["jobId"] for reply in replies}) == 1
        assert await server.total() == 2


async def test_a_doubt_is_settled_once_whoever_comes_at_the_same_time(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        job_id, created = await doubt(server, "first")
        _, another = await doubt(server, "second")
        replies = await asyncio.gather(
            adopt(server, job_id, created),
            adopt(server, job_id, another),
            server.post(f"/api/jobs/{job_id}/abandon"),
        )
        assert sorted(reply.status for reply in replies) == [200, 409, 409]
        adopted = [one for one in replies[:2] if one.status == 200]
        assert await server.total() == 2 + len(adopted)


async def test_what_the_provider_does_not_know_is_not_adopted(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        job_id, _ = await doubt(server)
        reply = await adopt(server, job_id, "nobody-knows-it")
        assert reply.refusal == (400, "invalid_request", "soraJobId")
        assert "xai does not know nobody-knows-it" in reply.json()["error"]
        assert await in_doubt(server) == [job_id]


async def test_what_is_no_id_at_its_provider_is_not_taken(tmp_path: Path) -> None:
    async with doubting(tmp_path, "fal") as server:
        job_id, created = await doubt(server, model="fal/fal-ai/veo2", seconds=5)
        reply = await adopt(server, job_id, "nowhere/requests/x")
        assert reply.refusal == (400, "invalid_request", "soraJobId")
        reply = await server.post(
            "/api/jobs/register", json={"soraJobId": created, "account": "fal"}
        )
        assert reply.refusal == (400, "invalid_request", "soraJobId")
        assert "fal-ai/veo3/requests/ID" in reply.json()["error"]
        assert await in_doubt(server) == [job_id]
        assert await server.total() == 1


async def test_another_job_s_is_not_adopted(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        first, created = await doubt(server, "first")
        second, _ = await doubt(server, "second")
        assert (await adopt(server, first, created)).status == 200
        reply = await adopt(server, second, created)
        assert reply.refusal[:2] == (409, "job_id_taken")
        error = reply.json()
        assert (error["problem"], error["providerJobId"]) == ("already_watched", created)
        assert (await server.job(error["jobId"]))["adoptedFrom"] == first
        assert await in_doubt(server) == [second]


@pytest.mark.long
async def test_a_job_that_is_not_in_doubt_can_be_neither(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        for path, body in (("adopt", {"soraJobId": "video_1"}), ("abandon", None)):
            reply = await server.post(f"/api/jobs/{job_id}/{path}", json=body)
            assert reply.status == 409
            assert "not in doubt; GET /api/jobs?inDoubt=true" in reply.json()["error"]
            assert (reply.json()["problem"], reply.json()["jobId"]) == ("not_in_doubt", job_id)
            reply = await server.post(f"/api/jobs/job_nowhere/{path}", json=body)
            assert reply.refusal == (404, "job_not_found", None)


async def test_a_job_that_is_still_looked_up_can_be_neither_yet(tmp_path: Path) -> None:
    async with doubting(tmp_path, settle_seconds=600) as server:
        job_id = await server.submit(model=MODEL, size=None)
        job = await server.job_when(job_id, "submitting")
        while not job["inDoubt"]:
            job = await server.job(job_id)
        assert await in_doubt(server) == [job_id]
        [created] = server.simulator.jobs
        assert (await adopt(server, job_id, created)).status == 409
        assert (await server.post(f"/api/jobs/{job_id}/abandon")).status == 409
        assert await server.total() == 1


async def test_an_abandoned_job_stays_as_it_is_and_leaves_the_list(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        job_id, created = await doubt(server)
        before = await server.job(job_id)
        reply = await server.post(f"/api/jobs/{job_id}/abandon")
        assert reply.status == 200
        assert reply.json() == {
            key: value for key, value in before.items() if key != "waitingFor"
        } | {"inDoubt": False}
        assert await in_doubt(server) == []
        assert (await server.post(f"/api/jobs/{job_id}/abandon")).status == 409
        assert (await adopt(server, job_id, created)).status == 409
        assert await server.total() == 1


async def test_a_provider_that_can_not_be_asked_leaves_the_doubt(tmp_path: Path) -> None:
    async with doubting(tmp_path) as server:
        job_id, created = await doubt(server)
        server.simulator.faults = Faults(server_error=1)
        assert (await adopt(server, job_id, created)).refusal[:2] == (502, "provider_unavailable")
        assert await in_doubt(server) == [job_id]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("runway", "runway/gen4.5"),
        ("fal", "fal/fal-ai/veo2"),
        ("ark", "ark/dreamina-seedance-2-0-260128"),
    ],
)
async def test_every_provider_s_job_can_be_adopted_by_what_it_is_called_there(
    tmp_path: Path, provider: str, model: str
) -> None:
    async with doubting(tmp_path, provider) as server:
        server.simulator.faults = LOST_IN_QUEUE
        job_id, created = await doubt(server, model=model, seconds=5)
        reply = await adopt(server, job_id, created)
        assert reply.status == 200
        server.time.advance(90)
        job = await server.job_when(reply.json()["jobId"], "completed")
        assert job["adoptedFrom"] == job_id
