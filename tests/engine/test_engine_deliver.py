"""Deliver: every event reaches its receiver, in order, signed, and no receiver holds up another."""

import asyncio
import hashlib
import hmac
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web
from engine_stage import SECRET, Engine, Stage, stage, until
from engine_upstream import Respond, answers, never, one_after_the_other, when
from standardwebhooks import Webhook as StandardWebhook

from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.errors import StoreError
from reelhook.domain.schedule import RetrySchedule
from reelhook.ports import DueDeliveries
from reelhook.storage.store import Store

DELIVER_ALONE = frozenset({"deliver"})


async def tell(engine: Engine, job_id: str, *steps: int | str) -> None:
    """Tell of progress (a number) or of a status, one event each."""
    for step in steps:
        if isinstance(step, int):
            await engine.service.update_status(job_id, "processing", step)
        else:
            await engine.service.update_status(job_id, step, None)


def told(here: Stage, job_id: str) -> list[Any]:
    """What arrived of the job: progress as a number, other changes as a status."""
    return [
        body["progress"] if body["status"] == "processing" else body["status"]
        for body in (one.body for one in here.receivers.of(job_id))
    ]


# -- order and coalescing -------------------------------------------------------------------------


async def test_events_of_a_job_arrive_in_order_and_one_at_a_time(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:

        async def slowly(_: web.Request) -> web.StreamResponse:
            await asyncio.sleep(Random(1).random() / 100)
            return web.Response()

        here.receivers.manners["/hook"] = slowly
        jobs = [f"job_{number}" for number in range(40)]
        await engine.register(jobs, here.hook)
        async with asyncio.TaskGroup() as group:
            for job_id in jobs:
                group.create_task(tell(engine, job_id, *range(1, 40, 3), "completed"))
        await engine.settled()

        for job_id in jobs:
            sequences = [one.body["sequence"] for one in here.receivers.of(job_id)]
            assert sequences == sorted(set(sequences))
            assert told(here, job_id)[-1] == "completed"
        assert here.receivers.in_flight_max == 1


COALESCED: list[tuple[list[int | str], list[int | str]]] = [
    ([10, 20, 30], [30]),  # newer progress supersedes older
    (["queued", 20, 30], [20, 30]),  # progress supersedes no change of status, 20 is one
    ([20, "queued"], ["queued"]),  # a change of status supersedes progress
    ([20, "completed"], ["completed"]),  # an ending supersedes all
    (["queued", 20, 30, "failed"], ["failed"]),
]


@pytest.mark.parametrize(("waiting", "sent"), COALESCED)
async def test_what_waits_is_superseded_by_what_is_newer(
    tmp_path: Path, waiting: list[int | str], sent: list[int | str]
) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = when(gate, answers(200))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 5)
        await until(lambda: here.receivers.webhooks)
        await tell(engine, "job", *waiting)
        gate.set()
        await engine.settled()

        assert told(here, "job") == [5, *sent]


async def test_what_was_read_ahead_is_not_sent_once_it_is_superseded(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = when(gate, answers(200))
        jobs = [f"job_{number}" for number in range(20)]
        await engine.register(jobs, here.hook)
        async with asyncio.TaskGroup() as group:
            for job_id in jobs:
                group.create_task(tell(engine, job_id, 10))
        await until(lambda: len(here.receivers.webhooks) == 4)  # all that one endpoint may have
        async with asyncio.TaskGroup() as group:
            for job_id in jobs:
                group.create_task(tell(engine, job_id, 20, "completed"))
        for number in range(4):  # as time passes, other things happen elsewhere
            here.time.advance(0.5)
            await engine.register([f"other_{number}"], f"{here.receivers.url}/other")
            await tell(engine, f"other_{number}", "completed")
            await until(lambda count=number: len(here.receivers.at("/other")) > count)  # type: ignore[misc] # mypy infers no default of a lambda
        started = {one.body["jobId"] for one in here.receivers.webhooks}
        gate.set()
        await engine.settled()

        for job_id in jobs:
            assert told(here, job_id) == [10, "completed"][job_id not in started :]


# -- independence ---------------------------------------------------------------------------------


async def test_a_receiver_that_never_answers_delays_no_other(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/deaf"] = never()
        deaf = [f"deaf_{number}" for number in range(100)]
        await engine.register(deaf, f"{here.receivers.url}/deaf")
        healthy = [f"job_{number}" for number in range(100)]
        for number, job_id in enumerate(healthy):
            await engine.register([job_id], f"{here.receivers.url}/hook_{number % 10}")
        async with asyncio.TaskGroup() as group:
            for job_id in deaf:
                group.create_task(tell(engine, job_id, 10, "completed"))
        await until(lambda: len(here.receivers.at("/deaf")) == 4)
        async with asyncio.TaskGroup() as group:
            for job_id in healthy:
                group.create_task(tell(engine, job_id, 10, "completed"))

        def all_ended() -> bool:
            return {one.body["jobId"] for one in here.receivers.endings} >= set(healthy)

        await until(all_ended, seconds=3)  # long before an attempt at the deaf one is given up
        assert len(here.receivers.at("/deaf")) == 4


async def test_queries_of_jobs_share_one_endpoint(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/deaf"] = never()
        for number in range(10):
            await engine.register([f"job_{number}"], f"{here.receivers.url}/deaf?job={number}")
            await tell(engine, f"job_{number}", "completed")
        await until(lambda: len(here.receivers.webhooks) == 4)
        await engine.register(["other"], here.hook)
        await tell(engine, "other", "completed")
        await until(lambda: here.receivers.at("/hook"))

        assert len(here.receivers.at("/deaf")) == 4


# -- trying again ---------------------------------------------------------------------------------


async def arrivals(here: Stage, engine: Engine, seconds: float) -> list[float]:
    """Let time pass; return when webhooks arrived, in seconds from now on."""
    start, seen = here.time.now(), len(here.receivers.webhooks)
    came: list[float] = []
    while here.time.now() < start + seconds * 1000:
        await engine.settled()
        came += [(here.time.now() - start) / 1000] * (len(here.receivers.webhooks) - seen)
        seen = len(here.receivers.webhooks)
        due_at = here.time.next_due_at
        here.time.advance(seconds if due_at is None else (due_at - here.time.now()) / 1000)
    return came


WAITS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400)


async def test_a_failed_ending_is_tried_again_when_it_is_due_and_never_early(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = answers(500)
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        came = await arrivals(here, engine, 6 * 86400)

        assert len(came) == 13
        for wait, since, at in zip(WAITS, came, came[1:], strict=False):
            assert wait <= at - since <= wait + min(0.2 * wait, 900) + 0.25
        assert await engine.store.deliveries_waiting() == 0


async def test_progress_is_tried_twice_at_most(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(200), answers(500))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", 20)

        assert len(await arrivals(here, engine, 86400)) == 2
        assert told(here, "job") == [10, 20, 20]


async def test_a_retry_after_lengthens_a_wait_and_never_shortens_it(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(
            answers(503, None, {"Retry-After": "100"}),
            answers(429, None, {"Retry-After": "1"}),
            answers(200),
        )
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        first, second, third = await arrivals(here, engine, 3600)

        assert second - first == 100
        assert 30 <= third - second <= 36.25


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(tmp_path: Path, status: int) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        elsewhere = {"Location": f"{here.receivers.url}/elsewhere"}
        here.receivers.manners["/hook"] = one_after_the_other(
            answers(status, None, elsewhere), answers(200)
        )
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await arrivals(here, engine, 10)

        assert [one.path for one in here.receivers.webhooks] == ["/hook", "/hook"]


async def test_410_ends_the_jobs_deliveries_and_no_others(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(410), answers(200))
        await engine.register(["job", "other"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", 20, "completed")
        await tell(engine, "other", "completed")
        await arrivals(here, engine, 86400)

        assert told(here, "job") == [10]
        assert told(here, "other") == ["completed"]


async def test_every_attempt_has_the_same_id_and_bytes_and_a_signature_of_its_own(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(*[answers(500)] * 3, answers(200))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await arrivals(here, engine, 3600)
        webhooks = here.receivers.webhooks

        assert len(webhooks) == 4
        assert len({one.raw for one in webhooks}) == 1
        assert {one.id for one in webhooks} == {"evt_job_1"}
        assert len({one.headers["webhook-signature"] for one in webhooks}) == 4
        assert len({one.headers["webhook-timestamp"] for one in webhooks}) == 4


@pytest.mark.parametrize("previous", [None, "an older secret"])
async def test_the_official_library_accepts_every_webhook(
    tmp_path: Path, previous: str | None
) -> None:
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE) as here,
        here.engine(previous_secret=previous) as engine,
    ):
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await until(lambda: here.receivers.webhooks)
        await tell(engine, "job", "completed")
        await until(lambda: here.receivers.endings)

    for one in here.receivers.webhooks:
        StandardWebhook(SECRET).verify(one.raw, dict(one.headers))
        key = (previous or SECRET).encode()
        assert one.headers["X-Signature"] == hmac.new(key, one.raw, hashlib.sha256).hexdigest()


# -- exactly what is due --------------------------------------------------------------------------


class Sluggish(Store):
    """Answers late, each time differently: what it says may be history by then."""

    random = Random(7)

    async def due_deliveries(self, *args: Any, **options: Any) -> DueDeliveries:
        due = await super().due_deliveries(*args, **options)
        await asyncio.sleep(self.random.random() / 50)
        return due

    async def settle(self, attempt: Attempt, decide: Any) -> Delivery:
        await asyncio.sleep(self.random.random() / 50)
        moved = await super().settle(attempt, decide)
        await asyncio.sleep(self.random.random() / 50)
        return moved


def fails_at_times(share: float) -> Respond:
    chance = Random(3)

    async def respond(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(chance.random() / 100)
        return web.Response(status=500 if chance.random() < share else 204)

    return respond


@pytest.mark.parametrize("store", [Store, Sluggish])
@pytest.mark.parametrize(("jobs", "endpoints"), [(1000, 50), (300, 2)])
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
        at_times = fails_at_times(0.3)

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
    """Records no attempts, as a full disk would, as often as told."""

    refusals = 0

    async def settle(self, attempt: Attempt, decide: Any) -> Delivery:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("The disk is full")
        return await super().settle(attempt, decide)


async def test_an_attempt_that_can_not_be_recorded_is_sent_again_without_a_storm(
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

        assert len(here.receivers.webhooks) == 3
        assert {one.id for one in here.receivers.webhooks} == {"evt_job_1"}
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

    assert [one.id for one in here.receivers.webhooks] == ["evt_job_1"] * 2
    assert len({one.raw for one in here.receivers.webhooks}) == 1
