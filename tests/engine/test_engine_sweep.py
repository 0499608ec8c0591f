"""Sweep: what time alone brings about."""

from pathlib import Path

from engine_stage import stage
from engine_upstream import reset

from reelhook.domain.job import Status
from reelhook.domain.request import VideoRequest
from reelhook.ports import Change, IdempotencyKey

DAY_SECONDS = 24 * 3600


async def test_a_job_that_no_provider_took_within_its_age_fails_with_an_event(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    async with (
        stage(tmp_path, max_age_hours=0.1) as here,
        here.engine(base_url=nowhere) as engine,
    ):
        job_id = await engine.submit("a fox", here.hook)
        await engine.pass_time(350)
        assert (await engine.job(job_id)).status is Status.ACCEPTED
        await engine.pass_time(75)

        assert (await engine.job(job_id)).code == "expired"
        (webhook,) = here.receivers.webhooks
        assert (webhook.body["status"], webhook.body["soraJobId"]) == ("failed", None)


async def test_a_job_in_doubt_past_its_age_ends_in_submission_unknown(tmp_path: Path) -> None:
    unresolved = frozenset({"submit", "sweep", "deliver"})
    async with (
        stage(tmp_path, max_age_hours=0.1, loops=unresolved) as here,
        here.engine() as engine,
    ):
        here.upstream.on_create = reset
        job_id = await engine.submit("a fox", here.hook)
        await engine.pass_time(590)
        assert (await engine.job(job_id)).status is Status.SUBMITTING
        await engine.pass_time(75)

        assert (await engine.job(job_id)).code == "submission_unknown"
        assert len(here.receivers.webhooks) == here.upstream.creations == 1


async def test_after_a_long_standstill_doubts_are_looked_up_before_they_end(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine(loops=frozenset()) as engine:
            job = await engine.job(await engine.submit("a fox"))
            await engine.store.record([Change(job.submitting(here.time.now()))], None)
        here.upstream.add("found", prompt="a fox", status="completed", progress=100)
        here.time.advance(2 * DAY_SECONDS)
        async with here.engine() as engine:
            await engine.settled()

            assert (await engine.job(job.id)).status is Status.COMPLETED
            assert here.upstream.creations == 0


async def test_idempotency_keys_are_forgotten_after_a_day(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        key, request = IdempotencyKey("me", "key", "body"), VideoRequest("a fox", "sora-2")
        first = await engine.service.submit(request, None, key)
        await engine.settled()
        here.time.advance(DAY_SECONDS - 60)
        await engine.settled()
        again = await engine.service.submit(request, None, key)
        here.time.advance(121)
        await engine.settled()
        later = await engine.service.submit(request, None, key)

        assert (again.job_id, again.replayed) == (first.job_id, True)
        assert (later.job_id == first.job_id, later.replayed) == (False, False)
