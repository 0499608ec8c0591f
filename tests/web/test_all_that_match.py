"""Jobs by cause, and actions on all jobs that match."""

import re
from pathlib import Path

import pytest
from browsing import browsing, new_key
from gateways import Gateway, gateway, until
from receivers import receiver

from reelhook.service import held_jobs
from reelhook.simulator.faults import Faults

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
SLOW = Faults(queue_seconds=60, render_seconds=10_000)


async def queued(server: Gateway, count: int) -> list[str]:
    jobs = [await server.submit(f"A fox {number}") for number in range(count)]
    for job in jobs:
        await server.job_when(job, "queued")
    return jobs


async def test_jobs_of_a_cause_are_listed_newest_first_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_jobs, "BATCH", 1)  # so that statuses are merged
    async with gateway(tmp_path, SLOW) as server:
        jobs = await queued(server, 3)
        server.time.advance(70)
        await server.job_when(jobs[1], "processing")
        jobs += await queued(server, 1)
        await server.post("/api/watcher/pause")

        async def page(cursor: str | None) -> tuple[list[str], str | None]:
            params = {"cause": "paused", "limit": "2"} | ({"cursor": cursor} if cursor else {})
            found = (await server.get("/api/jobs", params=params)).json()
            return [one["jobId"] for one in found["jobs"]], found["nextCursor"]

        async def all_shown() -> list[str]:
            found, cursor = await page(None)
            while cursor:
                more, cursor = await page(cursor)
                found += more
            return found if len(found) == 4 else []

        assert await until(all_shown) == jobs[::-1]
        of_status = await server.get("/api/jobs", params={"cause": "paused", "status": "completed"})
        assert of_status.json() == {"jobs": [], "nextCursor": None}
        refused = await server.get("/api/jobs", params={"cause": "over_budget"})
        assert refused.refusal == (400, "invalid_request", "cause")
        assert (await server.get("/api/jobs", params={"cause": "x"})).status == 400


async def test_a_webhook_that_fails_is_found_by_its_cause_and_sent_again(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, Faults(queue_seconds=0, render_seconds=0), retry_schedule="0s") as server,
        receiver() as client,
        browsing(server) as visitor,
    ):
        endpoint = await server.endpoint(client.url)
        client.status, client.answer = 500, "<script>alert(1)</script>"
        jobs = [await server.submit("A fox", endpoints=[endpoint["id"]]) for _ in range(2)]
        for job in jobs:
            await server.delivery_when("failed", jobId=job)
        well = await server.submit("A cat")
        await server.job_when(well, "completed")
        html = await visitor.text("/jobs?q=cause%3Aexhausted")
        assert all(job in html for job in jobs)
        assert well not in html
        assert "reelhook jobs --cause exhausted" in html
        client.status = 200
        asked = await visitor.text("/jobs?q=cause%3Aexhausted&all=resend")
        assert "Type 2 to confirm" in asked
        fields = {"q": "cause:exhausted", "action": "resend", "count": "2"}
        done = await visitor.post("/jobs/matching", fields)
        assert "2 of 2 jobs: sent again." in done.body.decode()
        for job in jobs:
            await server.delivery_when("delivered", jobId=job)


async def test_the_failed_webhooks_of_selected_jobs_are_sent_again(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, Faults(queue_seconds=0, render_seconds=0), retry_schedule="0s") as server,
        receiver() as client,
        browsing(server) as visitor,
    ):
        client.status = 500
        job = await server.submit("A fox", webhookUrl=client.url)
        await server.delivery_when("failed", jobId=job)
        client.status = 200
        await visitor.text("/jobs")
        done = await visitor.post("/jobs/selected", {f"job.{job}": "on", "do": "resend"})
        assert done.headers["Location"].endswith("done=selected_resend")
        await server.delivery_when("delivered", jobId=job)
        wrong = await visitor.post("/jobs/selected", {f"job.{job}": "on", "do": "sell"})
        assert wrong.status == 400


async def test_what_failed_at_an_endpoint_is_sent_again_once_its_number_is_typed(
    tmp_path: Path,
) -> None:
    async with (
        gateway(tmp_path, Faults(queue_seconds=0, render_seconds=0), retry_schedule="0s") as server,
        receiver() as client,
        browsing(server) as visitor,
    ):
        client.status = 500
        named = [await server.endpoint(f"{client.url}?{name}") for name in ("one", "other")]
        page, other = (f"/webhooks/{one['id']}" for one in named)
        jobs = [await server.submit("A fox", endpoints=[one["id"] for one in named[:1]])]
        jobs.append(await server.submit("A cat", endpoints=[one["id"] for one in named]))
        for job in jobs:
            await server.delivery_when("failed", jobId=job)
        assert "Type " not in await visitor.text(page)
        assert "Type 1 to confirm" in await visitor.text(f"{other}?failed=1")
        assert "2 events failed" in re.sub("<.?b>", "", await visitor.text(f"{page}?failed=1"))
        client.status = 200
        for count in ("", "1", "all"):
            refused = await visitor.post(f"{page}/resend", {"hours": "1", "count": count})
            assert refused.status == 400
            assert "Type 2 to confirm" in refused.body.decode()
        done = await visitor.post(f"{page}/resend", {"hours": "1", "count": "2"})
        assert (done.status, done.headers["Location"].partition("?")[0]) == (303, page)
        for job in jobs:
            await server.delivery_when("delivered", jobId=job)
        assert "Nothing failed" in await visitor.text(f"{page}?failed=1")


async def test_all_that_match_are_canceled_once_their_number_is_typed(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, SLOW, api_key=KEY, headers=BEARER) as server,
        browsing(server) as visitor,
    ):
        jobs = await queued(server, 3)
        await visitor.log_in(KEY)
        assert "Type 3 to confirm" in await visitor.text("/jobs?q=model%3Asora-2&all=cancel")
        fields = {"q": "model:sora-2", "action": "cancel"}
        for count in ("", "2", "all"):
            refused = await visitor.post("/jobs/matching", {**fields, "count": count})
            assert refused.status == 400
            assert "3 jobs match now" in refused.body.decode()
            assert "Type 3 to confirm" in refused.body.decode()
        assert {(await server.job(job))["status"] for job in jobs} == {"queued"}
        reply = await visitor.post("/jobs/matching", {**fields, "count": "3"})
        assert reply.status == 200
        assert "3 of 3 jobs" in reply.body.decode()


async def test_an_action_on_all_needs_its_scope(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, SLOW, api_key=KEY, headers=BEARER) as server,
        browsing(server) as visitor,
    ):
        made = await new_key(server, BEARER, scopes=["submit"])
        await visitor.log_in(made["key"])
        html = await visitor.text("/jobs?all=resend")
        assert "Send failed webhooks again" not in html
        fields = {"action": "resend", "count": "0"}
        assert (await visitor.post("/jobs/matching", fields)).status == 403
