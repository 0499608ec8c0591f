"""Sending again: one event, or all that failed since a time, each once and with the same id."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver

from reelhook.domain.event import sequence_of

QUICK = "1ms"
HOUR = timedelta(hours=1)


def ago(span: timedelta) -> str:
    return (datetime.now(UTC) - span).isoformat()


async def finished(server: Gateway, since: str, **body: Any) -> Any:
    """Send all failed events again; wait until the run has finished."""
    reply = await server.post("/api/deliveries/resend", json={"since": since, **body})
    assert reply.status == 202
    path = f"/api/deliveries/resend/{reply.json()['id']}"

    async def through() -> Any:
        run = (await server.get(path)).json()
        return run if run["finished"] else None

    return await until(through)


# -- one ------------------------------------------------------------------------------------------


async def test_a_resend_has_the_same_id_and_body_and_a_fresh_signature(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit(webhookUrl=client.url)
        first = await client.ending(job_id)
        delivery = await server.delivery_when("delivered", jobId=job_id)
        client.webhooks.clear()
        reply = await server.post(f"/api/deliveries/{delivery['id']}/resend")
        assert reply.status == 202
        again = await client.ending(job_id)
        assert again.raw == first.raw
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
        assert int(again.headers["X-Timestamp"]) > int(first.headers["X-Timestamp"])
        resent = reply.json()
        assert (resent["resendOf"], resent["url"]) == (delivery["id"], client.url)
        assert resent["id"] != delivery["id"]
        await server.delivery_when("delivered", jobId=job_id)
        attempts = (await server.get(f"/api/deliveries/{delivery['id']}/attempts")).json()
        assert {one["deliveryId"] for one in attempts["attempts"]} == {delivery["id"], resent["id"]}


async def test_any_event_of_the_job_may_be_sent_anew(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await client.ending(job_id)
        delivery = await server.delivery_when("delivered", jobId=job_id)
        client.webhooks.clear()
        await server.post(f"/api/deliveries/{delivery['id']}/resend", json={"sequence": 1})
        webhook = await client.first(lambda one: one.body["sequence"] == 1)
        assert sequence_of(webhook.headers["webhook-id"], job_id) == 1


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        ({"sequence": 99}, "has no event 99; GET /api/jobs/"),
        ({"sequence": 0}, "must be at least 1"),
        ({"sequence": "1"}, "must be a whole number"),
        ({"sequence": 2**63}, "must be at most"),
    ],
)
async def test_an_event_that_there_is_not_is_refused(
    tmp_path: Path, body: dict[str, Any], remedy: str
) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        await client.ending(await server.submit(webhookUrl=client.url))
        delivery = await server.delivery_when("delivered")
        reply = await server.post(f"/api/deliveries/{delivery['id']}/resend", json=body)
        assert reply.refusal == (400, "invalid_request", "sequence")
        assert remedy in reply.json()["error"]
        assert reply.json().get("problem") == ("unknown_event" if "GET" in remedy else None)
        assert len(await server.deliveries()) == 1


async def test_before_the_first_event_there_is_nothing_to_send(tmp_path: Path) -> None:
    async with gateway(tmp_path, upstream="http://127.0.0.1:2/v1") as server:
        job_id = await server.submit(webhookUrl="http://127.0.0.1:2/hook")
        [delivery] = await server.deliveries()
        assert delivery["state"] is None
        reply = await server.post(f"/api/deliveries/{delivery['id']}/resend")
        assert reply.refusal == (400, "invalid_request", "sequence")
        assert f"no event yet; GET /api/jobs/{job_id}/events" in reply.json()["error"]


async def test_nothing_is_sent_anew_to_a_removed_endpoint(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        await client.ending(await server.submit(endpoints=[made["id"]]))
        delivery = await server.delivery_when("delivered")
        await server.delete(f"/api/endpoints/{made['id']}")
        reply = await server.post(f"/api/deliveries/{delivery['id']}/resend")
        assert reply.refusal == (404, "endpoint_not_found", None)
        assert len(await server.deliveries()) == 1


# -- all that failed ------------------------------------------------------------------------------


async def test_all_that_failed_is_sent_anew_each_once(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        receiver() as other,
        gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server,
    ):
        client.status = other.status = 500
        ids = [
            (await server.endpoint(one.url, events=["completed"]))["id"] for one in (client, other)
        ]
        jobs = {await server.submit(endpoints=ids) for _ in range(2)}

        async def all_failed() -> bool:
            return len(await server.deliveries(state="failed")) == 4

        await until(all_failed)
        client.status = other.status = 200
        for one in (client, other):
            one.webhooks.clear()
        run = await finished(server, ago(HOUR), endpointId=ids[0])
        assert (run["resent"], run["endpointId"]) == (2, ids[0])
        for job_id in jobs:
            await client.ending(job_id)
        assert other.webhooks == []
        assert (await finished(server, ago(HOUR)))["resent"] == 2
        for job_id in jobs:
            await other.ending(job_id)
        assert (await finished(server, ago(HOUR)))["resent"] == 0
        assert len(client.webhooks) == len(other.webhooks) == 2
        sent = {webhook.headers["webhook-id"] for webhook in client.webhooks + other.webhooks}
        assert {one.rpartition("_")[0] for one in sent} == {f"evt_{job_id}" for job_id in jobs}


async def test_what_failed_before_that_moment_is_left_alone(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server:
        client.status = 500
        await server.submit(webhookUrl=client.url)
        await server.delivery_when("failed")
        run = await finished(server, datetime.now(UTC).isoformat())
        assert run["resent"] == 0


async def test_a_time_is_shown_in_utc(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        run = await finished(server, "2026-01-31T10:00+02:00")
        assert run["since"] == "2026-01-31T08:00:00.000Z"
        assert run["until"].endswith("Z")
        assert (await finished(server, "2026-01-31T08:00Z"))["since"] == run["since"]


@pytest.mark.parametrize(
    ("body", "field", "remedy"),
    [
        ({}, "since", "is required"),
        ({"since": "2026-01-31T10:00"}, "since", "must have a time zone"),
        ({"since": "2026-01-31"}, "since", "time zone"),
        ({"since": "yesterday"}, "since", "must be a time with its time zone"),
        ({"since": None}, "since", "must be a time with its time zone"),
        ({"since": ["2026-01-31T10:00Z"]}, "since", "must be a time with its time zone"),
        ({"since": "9999-01-01T00:00Z"}, "since", "in the past"),
        ({"since": "1969-01-01T00:00Z"}, "since", "after 1970"),
        ({"since": "0001-01-01T00:00+23:59"}, "since", "after 1970"),
        ({"since": "2026-01-31T10:00Z", "endpointId": 7}, "endpointId", "must be a string"),
    ],
)
async def test_a_wrong_moment_is_refused(
    tmp_path: Path, body: dict[str, Any], field: str, remedy: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.post("/api/deliveries/resend", json=body)
        assert reply.refusal == (400, "invalid_request", field)
        assert remedy in reply.json()["error"]


async def test_unknown_endpoints_and_runs_are_404(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        body = {"since": ago(HOUR), "endpointId": "ep_nobody"}
        reply = await server.post("/api/deliveries/resend", json=body)
        assert reply.refusal == (404, "endpoint_not_found", None)
        reply = await server.get("/api/deliveries/resend/resend_nobody")
        assert reply.refusal == (404, "resend_not_found", None)
        assert "POST /api/deliveries/resend" in reply.json()["error"]
