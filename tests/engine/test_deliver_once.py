"""Each event arrives once, whatever is slow, fails, or is cut off."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web
from engine_delivering import DELIVER_ALONE, Sluggish, fails_at_times, tell
from engine_stage import stage, until
from engine_upstream import answers, never, one_after_the_other

from reelhook.domain.delivery import Delivery
from reelhook.domain.errors import StoreError
from reelhook.domain.event import job_id_of
from reelhook.domain.schedule import RetrySchedule
from reelhook.ports import Settlement
from reelhook.storage.store import Store


@pytest.mark.parametrize("store", [Store, Sluggish])
@pytest.mark.parametrize(
    ("jobs", "endpoints"), [pytest.param(1000, 50, marks=pytest.mark.long), (300, 2)]
)
@pytest.mark.long
async def test_under_load_each_event_arrives_exactly_once(
    tmp_path: Path, store: type[Store], jobs: int, endpoints: int
) -> None:
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE, store=store) as here,
        here.engine() as engine,
    ):
        names = [f"job_{number}" for number in range(jobs)]
        for number in range(endpoints):
            hook = f"{here.receivers.url}/hook_{number}"
            here.receivers.manners[f"/hook_{number}"] = fails_at_times(0)
            await engine.register(names[number::endpoints], hook)
        async with asyncio.TaskGroup() as group:
            for job_id in names:
                group.create_task(tell(engine, job_id, 10, 20, "completed"))
        await until(lambda: len(here.receivers.endings) >= jobs)
        await until(lambda: len(engine.loops["deliver"].tasks) == 0)

        times = Counter(one.id for one in here.receivers.webhooks)
        assert set(times.values()) == {1}
        assert Counter(one.body["jobId"] for one in here.receivers.endings) == Counter(names)
        assert here.receivers.in_flight_max == 1


@pytest.mark.parametrize("store", [Store, Sluggish])
@pytest.mark.long
async def test_with_failing_receivers_no_success_is_repeated_and_no_order_lost(
    tmp_path: Path, store: type[Store]
) -> None:
    schedule = RetrySchedule((0.01,) * 40)
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE, store=store) as here,
        here.engine(schedule=schedule) as engine,
    ):
        names = [f"job_{number}" for number in range(200)]
        succeeded: Counter[str] = Counter()
        at_times = fails_at_times(0.1)  # so few that no breaker opens, whose probes take seconds

        async def note(request: web.Request) -> web.StreamResponse:
            answer = await at_times(request)
            succeeded[request.headers["webhook-id"]] += answer.status == 204
            return answer

        here.receivers.manners |= {f"/hook_{number}": note for number in range(10)}
        for number in range(10):
            await engine.register(names[number::10], f"{here.receivers.url}/hook_{number}")
        async with asyncio.TaskGroup() as group:
            for job_id in names:
                group.create_task(tell(engine, job_id, 10, 20, "completed"))

        async def nothing_waits() -> bool:
            return await engine.store.deliveries_waiting() == 0

        await until(nothing_waits)
        await until(lambda: len(engine.loops["deliver"].tasks) == 0)

        assert max(succeeded.values()) == 1
        for job_id in names:
            sequences = [one.body["sequence"] for one in here.receivers.of(job_id)]
            assert sequences == sorted(sequences)
            ending = here.receivers.of(job_id)[-1]
            assert ending.ends
            assert succeeded[ending.id] == 1


class Refusing(Store):
    """Fails to record attempts, as with a full disk, a given number of times."""

    refusals = 0

    async def settle(self, settlement: Settlement) -> Delivery | None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("The disk is full")
        return await super().settle(settlement)


async def test_an_attempt_that_can_not_be_recorded_yet_is_not_sent_again_for_that(
    tmp_path: Path,
) -> None:
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE, store=Refusing) as here,
        here.engine() as engine,
    ):
        assert isinstance(engine.store, Refusing)
        engine.store.refusals = 2
        await engine.register(["job"], here.hook)
        started = asyncio.get_running_loop().time()
        await tell(engine, "job", "completed")

        async def nothing_waits() -> bool:
            return await engine.store.deliveries_waiting() == 0

        await until(nothing_waits)
        took = asyncio.get_running_loop().time() - started

        assert [job_id_of(one.id) for one in here.receivers.webhooks] == ["job"]
        assert took >= 2  # a second each


async def test_what_was_cut_off_is_sent_again_with_the_same_id(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        here.receivers.manners["/hook"] = one_after_the_other(never(), answers(200))
        async with here.engine() as engine:
            await engine.register(["job"], here.hook)
            await tell(engine, "job", "completed")
            await until(lambda: here.receivers.webhooks)
        async with here.engine() as engine:
            await engine.settled()

    assert [job_id_of(one.id) for one in here.receivers.webhooks] == ["job"] * 2
    assert len({one.id for one in here.receivers.webhooks}) == 1
    assert len({one.raw for one in here.receivers.webhooks}) == 1
