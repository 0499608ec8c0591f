"""Resends: with the same id, outside the order, each once, whatever is canceled midway."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from engine_delivering import DELIVER_ALONE, tell, tell_all, told
from engine_stage import Engine, Stage, stage, until
from engine_upstream import answers, never, one_after_the_other

from reelhook.domain.event import Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.delivering import redeliver as resending
from reelhook.ports import DeliveryFilter, Lease, Resend
from reelhook.storage.store import Store

LOOPS = frozenset({"deliver", "resend"})
JOBS = [f"job_{number}" for number in range(60)]


async def delivery_of(engine: Engine, job_id: str) -> int:
    page = await engine.deliveries.page(DeliveryFilter(job_id=job_id))
    return min(one.delivery.id for one in page.deliveries)


async def test_any_event_is_sent_anew_with_its_id_and_bytes(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here, here.engine() as engine:
        await engine.register(["job"], here.hook)
        for step in (10, 20, "completed"):
            await tell(engine, "job", step)
            await engine.settled()
        delivery_id = await delivery_of(engine, "job")
        await engine.deliveries.resend(delivery_id, 1)
        await engine.settled()
        await engine.deliveries.resend(delivery_id)
        await engine.settled()

        first, _, last, first_again, last_again = here.receivers.webhooks
        assert (first_again.id, first_again.raw) == (first.id, first.raw)
        assert (last_again.id, last_again.raw) == (last.id, last.raw)
        attempts = await engine.deliveries.attempts(delivery_id)
        assert [one.sequence for one in attempts] == [3, 1, 3, 2, 1]


async def test_it_goes_at_once_while_the_delivery_itself_waits(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(
            *[answers(200), answers(500), answers(500), answers(200)]
        )
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", "completed")
        await engine.pass_time(10)
        await engine.deliveries.resend(await delivery_of(engine, "job"), 1)
        await engine.settled()

        assert told(here, "job") == [10, "completed", "completed", 10]
        await engine.pass_time(60)
        assert told(here, "job") == [10, "completed", "completed", 10, "completed"]


async def test_it_is_tried_as_often_as_any_other(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=LOOPS) as here, here.engine() as engine:
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await engine.settled()
        here.receivers.manners["/hook"] = one_after_the_other(answers(500), answers(200))
        await engine.deliveries.resend(await delivery_of(engine, "job"))
        await engine.pass_time(60)

        assert told(here, "job") == ["completed"] * 3


async def all_failed(here: Stage, engine: Engine) -> None:
    """Let the ends of 60 jobs fail for good, at 20 endpoints that are up afterwards."""
    for number in range(20):
        here.receivers.manners[f"/hook_{number}"] = answers(500)
        await engine.register(JOBS[number::20], f"{here.receivers.url}/hook_{number}")
    await tell_all(engine, JOBS, "completed")
    await engine.settled("resend")
    assert await engine.store.deliveries_waiting() == 0
    here.receivers.manners.clear()
    here.receivers.webhooks.clear()
    here.time.advance(1)  # attempts take some time, although the clock stands still


def named(webhook_id: str) -> str:
    """Return an id without its digest."""
    return webhook_id.rpartition("-")[0]


def each_once() -> Counter[str]:
    return Counter(f"evt_{job_id}_1" for job_id in JOBS)


async def test_all_that_failed_are_sent_anew_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resending, "BATCH", 7)
    once = RetrySchedule(())
    async with stage(tmp_path, loops=LOOPS, schedule=once) as here, here.engine() as engine:
        since = here.time.now()
        await all_failed(here, engine)
        await engine.pass_time(60)
        run = await engine.deliveries.resend_failed(since)
        await engine.settled()
        again = await engine.deliveries.resend_failed(since)
        await engine.settled()

        assert Counter(named(one.id) for one in here.receivers.webhooks) == each_once()
        done = await engine.deliveries.resend_run(run.id)
        assert (done.resent, done.finished_at) == (60, here.time.now())
        assert (await engine.deliveries.resend_run(again.id)).resent == 0


async def test_what_fails_again_can_be_sent_anew_again(tmp_path: Path) -> None:
    once = RetrySchedule(())
    async with stage(tmp_path, loops=LOOPS, schedule=once) as here, here.engine() as engine:
        since = here.time.now()
        await all_failed(here, engine)
        here.receivers.manners["/hook_3"] = one_after_the_other(answers(500), answers(200))
        for _ in range(3):
            await engine.deliveries.resend_failed(since)
            await engine.settled()
            here.time.advance(1)

        times = Counter(named(one.id) for one in here.receivers.webhooks)
        assert set(times) == set(each_once())
        assert sorted(times.values()) == [1] * 59 + [2]


async def test_only_one_endpoint_and_only_since_then(tmp_path: Path) -> None:
    once = RetrySchedule(())
    async with stage(tmp_path, loops=LOOPS, schedule=once) as here, here.engine() as engine:
        await all_failed(here, engine)
        failed = await engine.deliveries.page(DeliveryFilter(state="failed", job_id="job_5"))
        endpoint_id = failed.deliveries[0].delivery.endpoint_id
        since = here.time.now() - 1000
        await engine.pass_time(60)
        await engine.deliveries.resend_failed(here.time.now())
        await engine.settled()
        assert here.receivers.webhooks == []

        await engine.deliveries.resend_failed(since, endpoint_id)
        await engine.settled()
        assert sorted(one.body["jobId"] for one in here.receivers.webhooks) == sorted(JOBS[5::20])


class Halting(Store):
    """Gets no further than some batches, as if the program was killed there."""

    batches_left = 3
    after = False
    """Whether the batch at which it ends is written."""

    async def advance_resend(
        self, resend_id: str, limit: int, now: Instant, lease: Lease | None = None
    ) -> Resend:
        self.batches_left -= 1
        if self.batches_left >= 0:
            return await super().advance_resend(resend_id, limit, now, lease)
        if self.after:
            await super().advance_resend(resend_id, limit, now, lease)
        await asyncio.Event().wait()
        raise AssertionError


class HaltingAfter(Halting):
    after = True


@pytest.mark.parametrize("store", [Halting, HaltingAfter])
@pytest.mark.parametrize("loops", [frozenset({"resend"}), LOOPS])
async def test_a_restart_midway_neither_loses_nor_repeats_any(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store: type[Halting],
    loops: frozenset[str],
) -> None:
    monkeypatch.setattr(resending, "BATCH", 7)
    async with stage(tmp_path, schedule=RetrySchedule(())) as here:
        async with here.engine(loops=LOOPS) as engine:
            await all_failed(here, engine)
        async with here.engine(loops=loops, store=store) as engine:
            run = await engine.deliveries.resend_failed(here.time.now() - 60_000)
            assert isinstance(engine.store, Halting)
            halting = engine.store
            await until(lambda: halting.batches_left < 0)
            if "deliver" in loops:
                await engine.settled("resend")
            half = await engine.deliveries.resend_run(run.id)
            assert half.resent in {21, 28}
            assert half.finished_at is None
        async with here.engine(loops=LOOPS) as engine:
            await engine.settled()

            assert Counter(named(one.id) for one in here.receivers.webhooks) == each_once()
            done = await engine.deliveries.resend_run(run.id)
            assert done.resent == 60
            assert done.finished_at is not None


async def test_what_hangs_of_it_holds_up_no_new_event_of_others(tmp_path: Path) -> None:
    once = RetrySchedule(())
    async with stage(tmp_path, loops=LOOPS, schedule=once) as here, here.engine() as engine:
        since = here.time.now()
        await all_failed(here, engine)
        here.receivers.manners = {f"/hook_{number}": never() for number in range(20)}
        await engine.deliveries.resend_failed(since)
        await until(lambda: engine.waits_for(60))
        await engine.register(["new"], here.hook)
        await tell(engine, "new", "completed")
        await until(lambda: here.receivers.of("new"), seconds=10)


async def test_without_the_resending_loop_nothing_is_sent_anew(tmp_path: Path) -> None:
    once = RetrySchedule(())
    async with stage(tmp_path, loops=DELIVER_ALONE, schedule=once) as here:
        async with here.engine() as engine:
            await all_failed(here, engine)
            await engine.deliveries.resend_failed(here.time.now() - 60_000)
            await engine.settled()
            assert here.receivers.webhooks == []
        async with here.engine(loops=LOOPS) as engine:
            await engine.settled()
            assert Counter(named(one.id) for one in here.receivers.webhooks) == each_once()
