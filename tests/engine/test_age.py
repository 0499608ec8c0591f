"""Age: no job is begun past it, and none is ended by it before it could be asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_stage import Engine, Played, Stage, stage
from engine_upstream import Respond, answers, one_after_the_other, reset

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.domain.report import SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.ports import Change
from reelhook.providers.openai.provider import OpenAI

AGE_HOURS = 0.1
AGE_SECONDS = 360
DAY_SECONDS = 24 * 3600
OUT_OF_ORDER = answers(503, {"error": {"message": "starting"}})


async def rendering(here: Stage, engine: Engine, one: str = "old") -> None:
    """Have a job that its provider renders."""
    here.upstream.add(one, status="in_progress", progress=10)
    await engine.register([one], here.hook)
    await engine.settled()


def broken(here: Stage, by: Respond | None) -> None:
    here.upstream.on_list = here.upstream.on_get = by


# -- before a provider has the job ----------------------------------------------------------------


@pytest.mark.parametrize("asked_seconds", [AGE_SECONDS, 3 * AGE_SECONDS])
async def test_a_job_that_had_to_wait_past_its_age_is_not_created(
    tmp_path: Path, asked_seconds: int
) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(
            answers(429, None, {"Retry-After": f"{asked_seconds}"}), here.upstream.take
        )
        job_id = await engine.submit("a fox", here.hook)
        await engine.pass_time(asked_seconds + 60)

        assert (await engine.job(job_id)).code == "expired"
        assert here.upstream.creations == 1
        (webhook,) = here.receivers.webhooks
        assert (webhook.body["status"], webhook.body["code"]) == ("failed", "expired")


async def test_a_job_that_waited_out_a_standstill_past_its_age_is_not_created(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine(loops=frozenset()) as engine:
            job_id = await engine.submit("a fox")
        here.time.advance(DAY_SECONDS)
        async with here.engine() as engine:
            await engine.settled()

            assert (await engine.job(job_id)).code == "expired"
            assert here.upstream.creations == 0


async def test_a_connection_that_stands_only_after_the_age_carries_no_create(
    tmp_path: Path,
) -> None:
    waits: list[Callable[[], None]] = []

    class Slow(OpenAI):
        async def submit(self, request: VideoRequest, *rest: Any) -> SubmitOutcome:
            waits[0]()
            return await super().submit(request, *rest)

    slow = Played(Account("openai", "openai"), Slow)
    async with (
        stage(tmp_path, max_age_hours=AGE_HOURS, accounts=(slow,)) as here,
        here.engine() as engine,
    ):
        waits.append(lambda: here.time.advance(AGE_SECONDS))
        job_id = await engine.submit("a fox")
        await engine.settled()
        await engine.pass_time(60)

        assert (await engine.job(job_id)).code == "expired"
        assert here.upstream.creations == 0


async def test_a_job_that_is_accepted_late_has_its_age_from_there(tmp_path: Path) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(
            answers(429, None, {"Retry-After": "350"}), here.upstream.take
        )
        job_id = await engine.submit("a fox")
        await engine.pass_time(350 + AGE_SECONDS - 10)
        assert (await engine.job(job_id)).status is Status.QUEUED
        here.upstream.change(*here.upstream.videos, status="completed")
        await engine.pass_time(5)

        assert (await engine.job(job_id)).status is Status.COMPLETED


async def test_a_job_that_is_accepted_late_does_not_last_for_ever(tmp_path: Path) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(
            answers(429, None, {"Retry-After": "350"}), here.upstream.take
        )
        job_id = await engine.submit("a fox")
        await engine.pass_time(350 + AGE_SECONDS + 10)

        assert (await engine.job(job_id)).code == "expired"


# -- once a provider has it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [OUT_OF_ORDER, answers(500), answers(200, b"<html>"), answers(404, {}), reset]
)
async def test_after_a_standstill_a_read_that_fails_ends_nothing(
    tmp_path: Path, failure: Respond
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await rendering(here, engine)
        here.time.advance(DAY_SECONDS + 3600)
        broken(here, failure)
        async with here.engine() as engine:
            await engine.pass_time(500)
            assert (await engine.job("old")).status is Status.PROCESSING
            broken(here, None)
            here.upstream.change("old", status="completed")
            await engine.pass_time(5)

            assert (await engine.job("old")).status is Status.COMPLETED


async def test_after_a_pause_a_read_that_fails_ends_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await rendering(here, engine)
        await engine.operations.pause_watching()
        await engine.settled()
        here.time.advance(DAY_SECONDS + 3600)
        broken(here, answers(500))
        await engine.operations.resume_watching()
        await engine.pass_time(590)
        assert (await engine.job("old")).status is Status.PROCESSING
        await engine.pass_time(60)

        assert (await engine.job("old")).code == "expired"


async def test_an_outage_of_the_provider_at_the_end_of_a_job_s_age_costs_no_video(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        await rendering(here, engine)
        await engine.pass_time(AGE_SECONDS / 2)
        broken(here, OUT_OF_ORDER)
        await engine.pass_time(1.9 * AGE_SECONDS)
        assert (await engine.job("old")).status is Status.PROCESSING
        here.upstream.change("old", status="completed")
        broken(here, None)
        await engine.pass_time(5)

        assert (await engine.job("old")).status is Status.COMPLETED


async def test_a_job_whose_reads_alone_fail_has_ten_minutes_of_a_provider_that_answers(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, max_age_hours=1) as here, here.engine() as engine:
        await rendering(here, engine)
        here.time.advance(3600 - 300)
        here.upstream.add("young")
        await engine.register(["young"])
        del here.upstream.videos["old"]
        here.upstream.on_get = OUT_OF_ORDER
        await engine.pass_time(300 + 590)
        assert (await engine.job("old")).status is Status.PROCESSING
        await engine.pass_time(30)

        assert (await engine.job("old")).code == "expired"
        assert (await engine.job("young")).status is Status.QUEUED


async def test_jobs_of_a_provider_that_is_gone_for_good_end_all_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        await rendering(here, engine)
        broken(here, reset)
        await engine.pass_time(2 * AGE_SECONDS + 590)
        assert (await engine.job("old")).status is Status.PROCESSING
        await engine.pass_time(30)

        assert (await engine.job("old")).code == "expired"
        assert len(here.receivers.endings) == 1


async def test_a_404_from_before_a_standstill_is_not_believed_because_of_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await engine.register(["shy"])
            await engine.settled()
        here.time.advance(3600)
        async with here.engine() as engine:
            await engine.pass_time(590)
            assert (await engine.job("shy")).status is Status.QUEUED
            await engine.pass_time(20)

            assert (await engine.job("shy")).code == "provider_error"


# -- whatever it is doing --------------------------------------------------------------------------


async def is_refused_again_and_again(here: Stage, engine: Engine) -> None:
    await engine.submit("known")
    await engine.pass_time(5)
    here.upstream.on_create = OUT_OF_ORDER


async def is_told_to_wait(here: Stage, engine: Engine) -> None:
    here.upstream.on_create = answers(429, None, {"Retry-After": "20"})


async def is_in_doubt_and_the_listing_fails(here: Stage, engine: Engine) -> None:
    here.upstream.on_create = here.upstream.on_list = OUT_OF_ORDER


async def is_in_doubt_and_nobody_looks(here: Stage, engine: Engine) -> None:
    here.upstream.on_create = reset
    await engine.runner.remove([engine.loops.pop("resolve")], 1)


async def is_being_submitted_by_nobody(here: Stage, engine: Engine) -> None:
    job = await engine.job(await engine.submit("lost"))
    await engine.runner.remove([engine.loops.pop(name) for name in ("submit", "resolve")], 1)
    intent = job.submitting(here.time.now())
    await engine.store.record([Change(intent)], None)


async def waits_for_a_slot(here: Stage, engine: Engine) -> None:
    account = replace(engine.loops["submit"]._leased.account, jobs_max=0)
    engine.loops["submit"]._leased = replace(engine.loops["submit"]._leased, account=account)


async def is_rendered_and_nobody_watches(here: Stage, engine: Engine) -> None:
    await engine.submit("accepted")
    await engine.settled()
    await engine.runner.remove([engine.loops.pop("watch")], 1)


STATES = [
    is_refused_again_and_again,
    is_told_to_wait,
    is_in_doubt_and_the_listing_fails,
    is_in_doubt_and_nobody_looks,
    is_being_submitted_by_nobody,
    waits_for_a_slot,
    is_rendered_and_nobody_watches,
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.long
async def test_no_job_outlives_twice_its_age_and_its_grace(tmp_path: Path, state: Any) -> None:
    async with stage(tmp_path, max_age_hours=AGE_HOURS) as here, here.engine() as engine:
        await state(here, engine)
        if "submit" in engine.loops:
            await engine.submit("a fox")
        await engine.settled()
        await engine.pass_time(2 * AGE_SECONDS + 20 * 60 + 120)

        ended = {job.status for job in await engine.jobs()}
        assert ended == {Status.FAILED}
