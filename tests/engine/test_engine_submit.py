"""Submit: the paid call, and what is done with each of its outcomes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import stage, until
from engine_upstream import Respond, answers, never, one_after_the_other, reset, when

from reelhook.domain.errors import StoreError
from reelhook.domain.job import Status
from reelhook.domain.reservation import BillOutcome, bill_of
from reelhook.engine.submitting import outcomes
from reelhook.engine.submitting.submit import SUBMITS_AT_ONCE
from reelhook.ports import Acceptance, Change, Lease
from reelhook.storage.store import Store


async def break_off(request: web.Request) -> web.StreamResponse:
    """Promise more than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "video_1", ')
    assert request.transport is not None
    request.transport.close()
    return response


async def test_the_intent_is_durable_before_the_paid_call_reaches_the_provider(
    tmp_path: Path,
) -> None:
    seen: list[Any] = []

    async def look(request: web.Request) -> web.StreamResponse:
        seen.extend(here.query("SELECT status, submit_attempts FROM jobs"))
        return await here.upstream.take(request)

    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = look
        await engine.submit("a fox")
        await engine.settled()

    assert seen == [("submitting", 1)]


async def test_creation_starts_at_once_when_woken(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        await engine.submit("a fox")

        await until(lambda: here.upstream.creations == 1)  # though no time passes


async def test_more_jobs_than_are_submitted_at_once_are_all_submitted(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, submit_timeout_seconds=60) as here, here.engine() as engine:
        here.upstream.on_create = when(gate, here.upstream.take)
        count = 2 * SUBMITS_AT_ONCE + 40
        await asyncio.gather(*(engine.submit(f"fox {number}") for number in range(count)))
        await until(lambda: here.upstream.creations == SUBMITS_AT_ONCE)
        gate.set()
        await engine.settled()

        assert here.upstream.creations == len(here.upstream.videos) == count
        assert {job.status for job in await engine.jobs()} == {Status.QUEUED}


# -- definitely not accepted ----------------------------------------------------------------------


async def test_a_refused_connection_is_tried_again_with_growing_waits(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine(base_url=f"http://127.0.0.1:{unused_tcp_port}") as engine:
            job_id = await engine.submit("a fox")
            waits = []
            for _ in range(7):
                await engine.settled()
                job = await engine.job(job_id)
                assert job.status is Status.ACCEPTED
                assert job.submit_due_at is not None
                waits.append((job.submit_due_at - here.time.now()) / 1000)
                here.time.advance(waits[-1])
        async with here.engine() as engine:
            await engine.job_when(job_id, Status.QUEUED)

    for wait, least in zip(waits, (1, 2, 4, 8, 15, 15, 15), strict=True):
        assert least <= wait <= least * 1.2
    assert here.upstream.creations == 1


@pytest.mark.parametrize("attempt_seconds", [0.0, 29.9])
async def test_a_429_is_tried_again_after_its_retry_after_and_others_wait_too(
    tmp_path: Path, attempt_seconds: float
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        busy = answers(429, {"error": {"message": "Slow down"}}, {"Retry-After": "30"})
        here.upstream.on_create = one_after_the_other(busy, here.upstream.take)
        first = await engine.submit("a fox")
        await engine.settled()
        here.time.advance(attempt_seconds)
        second = await engine.submit("another")
        await engine.settled()
        assert here.upstream.creations == 1
        here.time.advance(30 - attempt_seconds)
        await engine.settled()

        assert (here.upstream.creations, len(here.upstream.videos)) == (3, 2)
        for job_id in (first, second):
            assert (await engine.job(job_id)).status is Status.QUEUED
        assert (await engine.job(first)).submit_attempts == 2


async def test_a_429_without_retry_after_waits_like_a_refused_connection(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(answers(429), here.upstream.take)
        await engine.submit("a fox")
        await engine.settled()
        here.time.advance(0.99)
        await engine.settled()
        assert here.upstream.creations == 1
        here.time.advance(0.21)
        await engine.settled()

        assert here.upstream.creations == 2


async def test_a_retry_after_of_nothing_does_not_hammer_the_provider(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = answers(429, None, {"Retry-After": "0"})
        await engine.submit("a fox")
        await engine.settled()

        assert here.upstream.creations == 1


async def test_a_later_429_does_not_shorten_an_earlier_ones_wait(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path) as here, here.engine() as engine:
        long, short = (answers(429, None, {"Retry-After": wait}) for wait in ("60", "1"))
        here.upstream.on_create = one_after_the_other(long, when(gate, short), here.upstream.take)
        await asyncio.gather(engine.submit("a fox"), engine.submit("another"))
        await until(lambda: here.upstream.creations == 2)
        gate.set()
        await engine.settled()
        here.time.advance(59)
        await engine.settled()
        assert here.upstream.creations == 2
        here.time.advance(1)
        await engine.settled()

        assert here.upstream.creations == 4


@pytest.mark.parametrize("status", [400, 402, 403, 404, 413, 422])
async def test_a_4xx_fails_the_job_with_the_providers_words(tmp_path: Path, status: int) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = answers(status, {"error": {"message": "Not this fox."}})
        job_id = await engine.submit("a fox", here.hook)
        await engine.settled()

        job = await engine.job(job_id)
        assert (job.status, job.error, job.sequence) == (Status.FAILED, "Not this fox.", 1)
        (webhook,) = here.receivers.webhooks
        assert webhook.body["status"] == "failed"
        assert webhook.body["soraJobId"] is None
        assert webhook.body["error"] == "Not this fox."
        await engine.pass_time(300)
        assert here.upstream.creations == 1


async def test_a_wrong_key_fails_the_job_and_marks_the_account_unhealthy(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(
            answers(401, {"error": {"message": "Incorrect API key."}}), here.upstream.take
        )
        job_id = await engine.submit("a fox")
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.code, job.error) == ("provider_unauthorized", "Incorrect API key.")
        (account,) = (await engine.operations.stats())["accounts"]
        assert (account["healthy"], account["error"]) == (False, "Incorrect API key.")
        await engine.submit("another")
        await engine.settled()

        (account,) = (await engine.operations.stats())["accounts"]
        assert account["healthy"]


async def test_two_creates_that_return_the_same_id_are_not_paid_for_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        first = await engine.submit("a fox")
        await engine.settled()
        provider_job_id = (await engine.job(first)).provider_job_id
        assert provider_job_id is not None
        here.upstream.on_create = answers(200, here.upstream.videos[provider_job_id].shown())
        second = await engine.submit("a fox")
        await engine.settled()

        job = await engine.job(second)
        assert (job.status, job.code) == (Status.FAILED, "provider_error")
        assert here.upstream.creations == 2


async def test_a_create_that_returns_the_id_of_a_registered_job_is_spent(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.register(["by_hand"])
        here.upstream.on_create = answers(200, {"id": "by_hand", "status": "queued"})
        late = await engine.submit("a fox")
        await engine.settled()
        job = await engine.job(late)
        assert (job.status, job.code) == (Status.FAILED, "provider_error")
        assert bill_of(job).ending is BillOutcome.SPENT


# -- in doubt -------------------------------------------------------------------------------------


DOUBTFUL = {
    "500": answers(500),
    "503 with Retry-After": answers(503, None, {"Retry-After": "1"}),
    "408": answers(408),
    "409": answers(409),
    "302": answers(302, None, {"Location": "/v1/videos"}),
    "307": answers(307, None, {"Location": "/v1/videos"}),
    "no answer in time": never(),
    "a reset": reset,
    "a broken answer": break_off,
    "malformed JSON": answers(200, b'{"id": "vid'),
    "no id": answers(200, {"object": "video", "status": "queued"}),
    "an empty answer": answers(200, b""),
}


@pytest.mark.parametrize("outcome", DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_a_doubtful_answer_is_never_simply_repeated(tmp_path: Path, outcome: Respond) -> None:
    async with (
        stage(tmp_path, submit_timeout_seconds=0.3) as here,
        here.engine() as engine,
    ):
        here.upstream.on_create = outcome
        here.upstream.on_list = answers(500)
        job_id = await engine.submit("a fox")
        await engine.settled()
        assert (await engine.job(job_id)).doubt_since == here.time.now()
        await engine.pass_time(140)
        job = await engine.job(job_id)
        assert (job.status, job.sequence) == (Status.SUBMITTING, 0)
        await engine.pass_time(40)

        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert here.upstream.creations == 1


# -- when the store fails -------------------------------------------------------------------------


class Forgetful(Store):
    """Fails to record acceptances, as with a full disk, a given number of times."""

    failures = 0

    async def accept(
        self, change: Change, lease: Lease | None, sharing: Sequence[str] = ()
    ) -> Acceptance:
        if self.failures:
            self.failures -= 1
            raise StoreError("The disk is full")
        return await super().accept(change, lease, sharing)


async def test_an_id_that_was_paid_for_is_recorded_once_the_store_works_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, store=Forgetful) as here, here.engine() as engine:
        assert isinstance(engine.store, Forgetful)
        engine.store.failures = 3
        here.upstream.on_list = answers(405)
        job_id = await engine.submit("a fox")
        for _ in range(3):
            await until(lambda: here.time.next_due_at == here.time.now() + 1000)
            here.time.advance(1)
        job = await engine.job_when(job_id, Status.QUEUED)

        assert job.provider_job_id in here.upstream.videos
        assert here.upstream.creations == 1
        told = [one for one in here.logs if one["event"] == "submit.unrecorded"]
        assert [one["provider_job"] for one in told] == [job.provider_job_id] * 3
        assert {one["log_level"] for one in told} == {"warning"}


@pytest.mark.parametrize("stopped", [True, False])
async def test_the_id_of_a_paid_job_that_is_never_recorded_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    monkeypatch.setattr(outcomes, "RECORD_TRIES", 10**6 if stopped else 2)
    async with stage(tmp_path, store=Forgetful) as here:
        async with here.engine() as engine:
            assert isinstance(engine.store, Forgetful)
            engine.store.failures = 10**6
            job_id = await engine.submit("a fox")
            await until(lambda: here.time.next_due_at == here.time.now() + 1000)
            if not stopped:
                here.time.advance(1)
                await until(lambda: any(one["event"] == "submit.lost" for one in here.logs))
        (lost,) = [one for one in here.logs if one["event"] == "submit.lost"]
        assert (lost["log_level"], lost["job"], lost["account"]) == ("error", job_id, "openai")
        assert [lost["provider_job"]] == list(here.upstream.videos)
