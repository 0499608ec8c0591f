"""Where a job's events go: registered endpoints, several of them, broadcasts, filters."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from receivers import Receiver, receiver
from stub_providers import stub_provider

from reelhook.simulator.faults import Faults


async def test_a_job_goes_to_all_its_endpoints_and_its_own_url(tmp_path: Path) -> None:
    async with (
        receiver() as one,
        receiver() as other,
        receiver() as own,
        receiver() as default,
        gateway(tmp_path, AT_ONCE, webhook_url=default.url) as server,
    ):
        ids = [(await server.endpoint(client.url))["id"] for client in (one, other)]
        job_id = await server.submit(endpoints=[*ids, ids[0]], webhookUrl=own.url)
        sent = [await client.ending(job_id) for client in (one, other, own)]
        assert len({webhook.raw for webhook in sent}) == 1
        assert len({webhook.headers["webhook-id"] for webhook in sent}) == 1
        assert len({webhook.headers["webhook-signature"] for webhook in sent}) == 3
        assert len(await server.deliveries(jobId=job_id)) == 3
        assert default.webhooks == []


async def test_an_empty_list_of_endpoints_is_as_none(tmp_path: Path) -> None:
    async with receiver() as default, gateway(tmp_path, AT_ONCE, webhook_url=default.url) as server:
        await default.ending(await server.submit(endpoints=[]))


async def test_the_default_endpoint_may_be_named_beside_others(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        receiver() as default,
        gateway(tmp_path, AT_ONCE, webhook_url=default.url) as server,
    ):
        made = await server.endpoint(client.url)
        job_id = await server.submit(endpoints=["default", made["id"]])
        await default.ending(job_id)
        await client.ending(job_id)


@pytest.mark.parametrize(
    ("endpoints", "field"),
    [
        (["ep_nobody"], "endpoints"),
        (["default"], "endpoints"),
        ([""], "endpoints.0"),
        ([7], "endpoints.0"),
        (["a b"], "endpoints.0"),
        ("ep_nobody", "endpoints"),
        (None, "endpoints"),
        ([f"ep_{n}" for n in range(11)], "endpoints"),
    ],
)
async def test_endpoints_that_are_none_are_refused_with_the_request(
    tmp_path: Path, endpoints: Any, field: str
) -> None:
    async with gateway(tmp_path) as server:
        for path, body in (
            ("/api/generate", {"script": "A fox"}),
            ("/api/jobs/register", {"soraJobId": "video_1"}),
        ):
            reply = await server.post(path, json=body | {"endpoints": endpoints})
            assert reply.refusal == (400, "invalid_request", field)
        assert await server.total() == 0
        assert await server.deliveries() == []


async def test_a_refused_endpoint_uses_no_idempotency_key_up(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        ids = [made["id"]]

        async def ask(endpoints: list[str]) -> Any:
            return await server.post(
                "/api/generate",
                json={"script": "A fox", "endpoints": endpoints},
                headers={"Idempotency-Key": "order-4711"},
            )

        assert (await ask(["ep_nobody"])).refusal == (400, "invalid_request", "endpoints")
        first, again = await ask(ids), await ask(ids)
        assert (first.status, first.body) == (200, again.body)
        assert (await ask([])).refusal == (422, "idempotency_key_reused", None)
        await client.ending(first.json()["jobId"])
        assert len(await server.deliveries()) == 1


async def test_a_registered_job_goes_to_its_endpoints(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        stub_provider() as provider,
        gateway(tmp_path, upstream=provider.url) as server,
    ):
        provider.video("video_9")
        made = await server.endpoint(client.url)
        body = {"soraJobId": "video_9", "jobId": "job-9", "endpoints": [made["id"]]}
        for _ in range(2):
            assert (await server.post("/api/jobs/register", json=body)).status == 200
        provider.video("video_9", status="completed", progress=100)
        await client.ending("job-9")
        assert len(await server.deliveries(jobId="job-9")) == 1


# -- broadcast ------------------------------------------------------------------------------------


async def test_a_broadcast_gets_every_jobs_events_beside_their_own_endpoints(
    tmp_path: Path,
) -> None:
    async with receiver() as client, receiver() as all_, gateway(tmp_path, AT_ONCE) as server:
        await server.endpoint(all_.url, broadcast=True)
        mine = await server.submit(webhookUrl=client.url)
        nobodys = await server.submit()
        await client.ending(mine)
        for job_id in (mine, nobodys):
            await all_.ending(job_id)
        assert {webhook.body["jobId"] for webhook in client.webhooks} == {mine}


async def test_a_broadcast_that_is_named_gets_each_event_once(tmp_path: Path) -> None:
    async with receiver() as all_, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(all_.url, broadcast=True)
        job_id = await server.submit(endpoints=[made["id"]])
        await all_.ending(job_id)
        assert len(await server.deliveries(jobId=job_id)) == 1


@pytest.mark.parametrize("later", ["registered", "changed"])
async def test_a_broadcast_begins_with_the_jobs_that_run(tmp_path: Path, later: str) -> None:
    async with receiver() as all_, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        made = None if later == "registered" else await server.endpoint(all_.url)
        job_id = await server.submit()
        await server.job_when(job_id, "processing")
        if made is None:
            await server.endpoint(all_.url, broadcast=True)
        else:
            await server.patch(f"/api/endpoints/{made['id']}", json={"broadcast": True})
        server.time.advance(100)
        await all_.ending(job_id)


async def test_a_broadcast_that_was_switched_off_gets_no_new_jobs(tmp_path: Path) -> None:
    async with receiver() as all_, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(all_.url, broadcast=True)
        await server.patch(f"/api/endpoints/{made['id']}", json={"broadcast": False})
        await server.job_when(await server.submit(), "completed")
        assert await server.deliveries() == []


# -- filters --------------------------------------------------------------------------------------


async def ended(server: Gateway, client: Receiver, endpoint_id: str) -> list[str]:
    """Let a job run through all its statuses; return those that were sent."""
    job_id = await server.submit(endpoints=[endpoint_id])
    await server.job_when(job_id, "processing")
    server.time.advance(100)
    await server.job_when(job_id, "completed")

    async def nothing_waits() -> bool:
        return not (await server.get("/api/stats")).json()["deliveries"]["waiting"]

    await until(nothing_waits)
    return [webhook.body["status"] for webhook in client.webhooks]


@pytest.mark.parametrize(
    ("events", "sent"),
    [
        (["completed", "failed"], ["completed"]),
        (["processing"], ["processing"]),
        (["failed"], []),
        (None, ["processing", "completed"]),
    ],
)
async def test_an_endpoint_gets_what_it_asked_for(
    tmp_path: Path, events: list[str] | None, sent: list[str]
) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        made = await server.endpoint(client.url, events=events)
        assert await ended(server, client, made["id"]) == sent
