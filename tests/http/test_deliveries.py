"""Reading what was delivered and what was not: deliveries, attempts, and the feed of events."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver

from reelhook.domain.event import sequence_of
from reelhook.simulator.faults import Faults

NOBODY = "http://127.0.0.1:2/hook"
QUICK = "1ms,1ms"
UNKNOWN = (404, "delivery_not_found", None)


async def failed(server: Gateway, endpoint_id: str) -> Any:
    """Let a job's end fail at an endpoint for good; return the delivery."""
    job_id = await server.submit(endpoints=[endpoint_id])
    return await server.delivery_when("failed", jobId=job_id)


# -- deliveries -----------------------------------------------------------------------------------


async def test_a_delivery_that_arrived(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url, events=["completed"])
        job_id = await server.submit(endpoints=[made["id"]])
        webhook = await client.ending(job_id)
        delivery = await server.delivery_when("delivered", jobId=job_id)
        last = delivery.pop("lastAttempt")
        sequence = webhook.body["sequence"]
        assert delivery == {
            "id": delivery["id"],
            "jobId": job_id,
            "endpointId": made["id"],
            "url": client.url,
            "state": "delivered",
            "nextSequence": None,
            "nextAttemptAt": None,
            "attempts": 0,
            "deliveredSequence": sequence,
            "resendOf": None,
        }
        assert last.pop("startedAt").endswith("Z")
        assert last.pop("durationMs") >= 0
        assert last == {
            "deliveryId": delivery["id"],
            "eventId": webhook.headers["webhook-id"],
            "sequence": sequence,
            "number": 1,
            "probe": False,
            "status": 200,
            "error": None,
            "detail": None,
            "answer": '{"ok": true}',
        }
        read = (await server.get(f"/api/deliveries/{delivery['id']}")).json()
        assert read == delivery | {"lastAttempt": read["lastAttempt"], "undelivered": []}


async def test_a_delivery_that_waits_for_its_next_attempt(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE, retry_schedule="1h") as server:
        client.status = 500
        job_id = await server.submit(webhookUrl=client.url)
        delivery = await server.delivery_when("waiting", jobId=job_id)

        async def tried() -> Any:
            [one] = await server.deliveries(jobId=job_id)
            return one if one["attempts"] else None

        delivery = await until(tried)
        assert delivery["attempts"] == 1
        assert delivery["nextSequence"] == delivery["lastAttempt"]["sequence"]
        assert delivery["nextAttemptAt"] > delivery["lastAttempt"]["startedAt"]
        assert (delivery["deliveredSequence"], delivery["url"]) == (None, client.url)


async def test_a_delivery_that_failed_tells_what_never_arrived(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server:
        made = await server.endpoint(NOBODY, events=["completed"])
        delivery = await failed(server, made["id"])
        read = (await server.get(f"/api/deliveries/{delivery['id']}")).json()
        [missed] = read["undelivered"]
        assert missed.pop("at").endswith("Z")
        assert missed == {"sequence": read["lastAttempt"]["sequence"], "fate": "exhausted"}
        assert (read["nextSequence"], read["deliveredSequence"]) == (None, None)


async def test_410_ends_a_jobs_own_delivery(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        client.status = 410
        job_id = await server.submit(webhookUrl=client.url)
        delivery = await server.delivery_when("ended", jobId=job_id)
        read = (await server.get(f"/api/deliveries/{delivery['id']}")).json()
        assert {one["fate"] for one in read["undelivered"]} == {"gone"}
        endpoint = (await server.get(f"/api/endpoints/{delivery['endpointId']}")).json()
        assert endpoint["enabled"] is True


async def test_410_disables_a_registered_endpoint_and_keeps_what_waits(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        client.status = 410
        made = await server.endpoint(client.url)
        job_id = await server.submit(endpoints=[made["id"]])
        await server.job_when(job_id, "processing")
        path = f"/api/endpoints/{made['id']}"

        async def gone() -> bool:
            return bool((await server.get(path)).json()["disabled"] == "gone")

        await until(gone)
        client.status = 200
        other = await server.submit(endpoints=[made["id"]])
        await server.job_when(other, "processing")
        server.time.advance(100)
        await server.job_when(other, "completed")
        [delivery] = await server.deliveries(jobId=other)
        assert delivery["state"] == "waiting"
        await server.patch(path, json={"enabled": True})
        await client.ending(other)


async def test_deliveries_are_listed_by_state_job_and_endpoint(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server:
        good = await server.endpoint(client.url)
        bad = await server.endpoint(NOBODY)
        off = await server.endpoint(client.url)
        await server.patch(f"/api/endpoints/{off['id']}", json={"enabled": False})
        job_id = await server.submit(endpoints=[good["id"], bad["id"], off["id"]])
        await server.delivery_when("delivered", jobId=job_id, endpointId=good["id"])
        await server.delivery_when("failed", jobId=job_id, endpointId=bad["id"])
        await server.delivery_when("waiting", jobId=job_id, endpointId=off["id"])
        for state, endpoint in (("delivered", good), ("failed", bad), ("waiting", off)):
            [one] = await server.deliveries(state=state)
            assert (one["state"], one["endpointId"]) == (state, endpoint["id"])
        assert await server.deliveries(state="ended") == []
        assert await server.deliveries(state="failed", endpointId=good["id"]) == []
        assert await server.deliveries(jobId="job_nobody") == []


async def test_deliveries_come_in_pages_newest_first(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        jobs = [await server.submit(endpoints=[made["id"]]) for _ in range(5)]
        listed, cursor, pages = [], "", 0
        while cursor is not None:
            path = f"/api/deliveries?limit=2{cursor and f'&cursor={cursor}'}"
            page = (await server.get(path)).json()
            listed += [one["jobId"] for one in page["deliveries"]]
            cursor, pages = page["nextCursor"], pages + 1
        assert listed == jobs[::-1]
        assert pages == 3


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("state=lost", "state", "must be one of waiting"),
        ("limit=0", "limit", "must be at least 1"),
        ("limit=501", "limit", "must be at most 500"),
        ("limit=many", "limit", "must be a whole number"),
        ("cursor=0", "cursor", "must be at least 1"),
        (f"cursor={2**63}", "cursor", "must be at most"),
        ("cursor=x", "cursor", "must be a whole number"),
    ],
)
async def test_a_wrong_wish_for_deliveries_is_refused(
    tmp_path: Path, query: str, field: str, remedy: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get(f"/api/deliveries?{query}")
        assert reply.refusal == (400, "invalid_request", field)
        assert remedy in reply.json()["error"]


async def test_unknown_deliveries_are_404(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for delivery_id in (1, 0, -1, 2**63 - 1, 2**63, 10**30):
            path = f"/api/deliveries/{delivery_id}"
            for reply in (
                await server.get(path),
                await server.get(f"{path}/attempts"),
                await server.post(f"{path}/resend"),
            ):
                assert reply.refusal == UNKNOWN
        assert (await server.get("/api/deliveries/x")).refusal == (
            *(400, "invalid_request"),
            "delivery_id",
        )


# -- attempts -------------------------------------------------------------------------------------


async def test_attempts_are_kept_with_the_first_16_kib_of_the_answer(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server:
        client.status, client.answer = 503, "é" * 20_000
        made = await server.endpoint(client.url, events=["completed"])
        delivery = await failed(server, made["id"])
        path = f"/api/deliveries/{delivery['id']}/attempts"
        attempts = (await server.get(path)).json()["attempts"]
        assert [one["number"] for one in attempts] == [3, 2, 1]
        for one in attempts:
            assert (one["status"], one["deliveryId"]) == (503, delivery["id"])
            assert one["answer"].startswith("é" * 8191)
            assert len(one["answer"].encode()) <= 16 * 1024 + 2  # a character that was cut in two
        [newest] = (await server.get(f"{path}?limit=1")).json()["attempts"]
        assert newest == attempts[0]


async def test_an_attempt_that_reached_nobody_has_a_class_and_words(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, retry_schedule=QUICK) as server:
        delivery = await failed(server, (await server.endpoint(NOBODY))["id"])
        last = delivery["lastAttempt"]
        assert (last["status"], last["answer"]) == (None, "")
        assert last["error"]
        assert last["detail"]


# -- the feed -------------------------------------------------------------------------------------


async def test_the_feed_has_every_event_once_in_order_page_by_page(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        jobs = [await server.submit() for _ in range(3)]
        for job_id in jobs:
            await server.job_when(job_id, "completed")
        whole = (await server.get("/api/events")).json()
        assert (whole["more"], len(whole["events"])) == (False, len(whole["events"]))
        assert whole["nextCursor"] == whole["events"][-1]["id"]
        paged: list[Any] = []
        after, more = "", True
        while more:
            page = (await server.get(f"/api/events?limit=2{after}")).json()
            paged += page["events"]
            after, more = f"&after={page['nextCursor']}", page["more"]
        assert paged == whole["events"]
        assert {event["jobId"] for event in paged} == set(jobs)
        for job_id in jobs:
            history = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
            assert history == [event for event in paged if event["jobId"] == job_id]
            assert [event["sequence"] for event in history] == [*range(1, len(history) + 1)]
            assert [sequence_of(event["id"], job_id) for event in history] == [
                event["sequence"] for event in history
            ]


async def test_at_its_end_the_feed_gives_the_cursor_to_come_back_with(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        empty = (await server.get("/api/events")).json()
        assert empty == {"events": [], "nextCursor": None, "more": False, "restarted": False}
        first = await server.submit()
        await server.job_when(first, "completed")
        cursor = (await server.get("/api/events")).json()["nextCursor"]
        nothing = (await server.get("/api/events", params={"after": cursor})).json()
        assert nothing == {
            "events": [],
            "nextCursor": cursor,
            "more": False,
            "restarted": False,
        }
        aged_out = (await server.get("/api/events?after=evt_job_gone_7")).json()
        assert (aged_out["restarted"], aged_out["nextCursor"]) == (True, cursor)
        second = await server.submit()
        await server.job_when(second, "completed")
        news = (await server.get("/api/events", params={"after": cursor})).json()["events"]
        assert {event["jobId"] for event in news} == {second}


async def test_the_feed_is_what_webhooks_tell(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        webhook = await client.ending(await server.submit(webhookUrl=client.url))
        [event] = [
            one
            for one in (await server.get("/api/events")).json()["events"]
            if one["id"] == webhook.headers["webhook-id"]
        ]
        assert event == {"id": webhook.headers["webhook-id"]} | webhook.body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=evt_nobody", "after"),
        ("after=", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
    ],
)
async def test_a_wrong_wish_for_events_is_refused(tmp_path: Path, query: str, field: str) -> None:
    async with gateway(tmp_path) as server:
        assert (await server.get(f"/api/events?{query}")).refusal == (
            *(400, "invalid_request"),
            field,
        )


async def test_after_a_restart_a_retry_is_sent_without_another_event(tmp_path: Path) -> None:
    async with receiver() as client:
        client.status = 500
        async with gateway(tmp_path, AT_ONCE, retry_schedule="1s,1s,1s,1s") as server:
            job_id = await server.submit(webhookUrl=client.url)
            await server.delivery_when("waiting", jobId=job_id)
            await client.ending(job_id)
        client.status = 200
        async with gateway(tmp_path, AT_ONCE, retry_schedule="1s") as server:
            await server.delivery_when("delivered", jobId=job_id)
