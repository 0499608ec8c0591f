"""A clock that is set back delays nothing for longer than it would have waited anyway."""

from pathlib import Path

import pytest
from engine_clock import ManualClock
from engine_delivering import tell
from engine_stage import stage
from engine_upstream import answers, one_after_the_other

from reelhook.core.account_health import AccountHealth
from reelhook.domain.budget import BudgetLimits
from reelhook.domain.endpoint import EventName
from reelhook.domain.errors import ProviderError
from reelhook.domain.reservation import bill_of
from reelhook.engine.submitting.retry_after import ReadPause

HOUR = 3600
LOOPS = frozenset({"deliver", "clock_repair"})


async def test_a_retry_goes_at_once_when_the_clock_went_back_an_hour(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(500), answers(200))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await engine.settled()
        assert len(here.receivers.webhooks) == 1
        here.time.advance(-HOUR)
        engine.signals.clock_repair.set()
        await engine.settled()
        assert len(here.receivers.webhooks) == 2


async def test_a_clock_that_was_set_back_before_the_start_is_noticed_too(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here:
        here.receivers.manners["/hook"] = one_after_the_other(answers(500), answers(200))
        async with here.engine() as engine:
            await engine.register(["job"], here.hook)
            await tell(engine, "job", "completed")
            await engine.settled()
        here.time.advance(-HOUR)
        async with here.engine() as engine:
            await engine.settled()
            assert len(here.receivers.webhooks) == 2


async def test_probes_go_on_when_the_clock_went_back(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(*[answers(500)] * 6, answers(200))
        jobs = [f"job_{number}" for number in range(6)]
        await engine.register(jobs, here.hook)
        for job in jobs:
            await tell(engine, job, "completed")
        await engine.settled()
        refused = len(here.receivers.webhooks)
        here.time.advance(-24 * HOUR)
        engine.signals.clock_repair.set()
        await engine.settled()
        assert len(here.receivers.webhooks) > refused


async def test_an_event_of_a_budget_is_sent_when_the_clock_went_back_two_days(
    tmp_path: Path,
) -> None:
    loops = frozenset({"notify", "clock_repair"})
    async with stage(tmp_path, loops=loops) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(500), answers(200))
        await engine.endpoint(here.hook, events=frozenset({EventName.BUDGET_REACHED}))
        limits = BudgetLimits(jobs_per_day=1)
        await engine.store.set_budget("project:default", limits, here.time.now(), bill_of)
        await engine.submit("A fox")
        await engine.settled()
        assert len(here.receivers.webhooks) == 1
        here.time.advance(-48 * HOUR)
        engine.signals.clock_repair.set()
        await engine.settled()
        assert len(here.receivers.webhooks) == 2


@pytest.mark.parametrize("seconds", [0, 1.5, 4])
async def test_a_right_clock_mends_nothing(tmp_path: Path, seconds: float) -> None:
    async with stage(tmp_path, loops=LOOPS) as here:
        here.receivers.manners["/hook"] = one_after_the_other(answers(500), answers(200))
        async with here.engine() as engine:
            await engine.register(["job"], here.hook)
            await tell(engine, "job", "completed")
            await engine.settled()
        here.time.advance(seconds)
        async with here.engine() as engine:
            await engine.settled()
            assert len(here.receivers.webhooks) == 1


async def test_reads_go_on_when_the_clock_went_back_while_a_provider_was_left_alone() -> None:
    clock, health = ManualClock(), AccountHealth()
    pause = ReadPause("openai", health, clock)
    pause.obey(ProviderError("busy", retry_after_seconds=30))
    assert pause.seconds_left == 30
    clock.advance(-HOUR)
    assert pause.seconds_left == 0
    pause.obey(ProviderError("busy", retry_after_seconds=30))
    assert pause.seconds_left == 30
    clock.advance(30)
    await pause.wait()


async def test_creates_go_on_when_the_clock_went_back_while_a_provider_was_left_alone(
    tmp_path: Path,
) -> None:
    loops = frozenset({"submit", "clock_repair"})
    async with stage(tmp_path, loops=loops) as here, here.engine() as engine:
        busy = answers(429, None, {"Retry-After": "60"})
        here.upstream.on_create = one_after_the_other(busy, here.upstream.take)
        job_id = await engine.submit("A fox")
        await engine.settled()
        assert (await engine.store.job(job_id)).job.submit_due_at == here.time.now() + 60_000
        here.time.advance(-HOUR)
        engine.signals.clock_repair.set()
        await engine.settled()
        assert (await engine.store.job(job_id)).job.provider_job_id is not None
