"""The end of a job cuts short an attempt that hangs, and never does two at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell, told
from engine_stage import Engine, Stage, stage, until
from engine_upstream import answers, never, one_after_the_other

from reelhook.domain.delivery import WebhookResponse
from reelhook.ports import Sender, SignedRequest


class Impatient:
    """Gives an attempt a fiftieth of its time, and remembers what was asked for."""

    asked: list[float]

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        Impatient.asked = []

    async def send(self, request: SignedRequest) -> WebhookResponse:
        self.asked.append(request.timeout_seconds)
        short = replace(request, timeout_seconds=request.timeout_seconds / 50)
        return await self._sender.send(short)


@asynccontextmanager
async def hanging(tmp_path: Path) -> AsyncIterator[tuple[Stage, Engine]]:
    """The first attempt, of a change of status, hangs; all others are answered."""
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(never(), answers(200))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await until(lambda: here.receivers.webhooks)
        await until(lambda: engine.waits_for(1))
        yield here, engine


async def test_an_attempt_that_hangs_is_cut_short_by_the_end_of_its_job(tmp_path: Path) -> None:
    async with hanging(tmp_path) as (here, engine):
        here.time.advance(6)
        await tell(engine, "job", "completed")
        await engine.settled()

        assert told(here, "job") == [10, "completed"]
        assert here.receivers.in_flight_max == 1
        attempts = here.query("SELECT sequence, number, error FROM attempts ORDER BY id")
        assert attempts == [(1, 1, "superseded"), (2, 1, None)]
        assert await engine.endpoints.held_back() == []


async def test_a_clock_that_is_set_while_an_attempt_hangs_makes_it_no_longer(
    tmp_path: Path,
) -> None:
    async with hanging(tmp_path) as (here, engine):
        here.time.advance(30 * 24 * 3600)
        await tell(engine, "job", "completed")
        await engine.settled()

        ((first, _),) = here.query(
            "SELECT duration_ms, error FROM attempts WHERE error = 'superseded'"
        )
        assert 0 <= first < 24 * 3600 * 1000
        assert told(here, "job") == [10, "completed"]


async def test_one_that_is_younger_is_cut_short_once_it_is_five_seconds_old(
    tmp_path: Path,
) -> None:
    async with hanging(tmp_path) as (here, engine):
        here.time.advance(2)
        await tell(engine, "job", "completed")
        await until(lambda: engine.waits_for(1))
        here.time.advance(2.9)
        await until(lambda: engine.waits_for(1))
        assert told(here, "job") == [10]

        here.time.advance(0.1)
        await engine.settled()
        assert told(here, "job") == [10, "completed"]
        assert here.receivers.in_flight_max == 1


async def test_anything_but_the_end_waits_for_the_answer(tmp_path: Path) -> None:
    async with hanging(tmp_path) as (here, engine):
        here.time.advance(6)
        await tell(engine, "job", 20, "queued", 30)
        await until(lambda: engine.waits_for(1))

        assert told(here, "job") == [10]


async def test_the_end_takes_the_very_slot_of_the_attempt_that_it_cuts_short(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(30)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = never()
        await engine.register(jobs, here.hook)
        for job_id in jobs:
            await tell(engine, job_id, 10)
            here.time.advance(0.001)
        await until(lambda: len(here.receivers.webhooks) >= 4 and engine.waits_for(4))
        here.time.advance(10)
        await tell(engine, "job_3", "completed")
        await until(lambda: len(here.receivers.webhooks) == 5)
        await until(lambda: engine.waits_for(4))

        assert [one.body["jobId"] for one in here.receivers.webhooks] == [*jobs[:4], "job_3"]


async def test_many_ends_at_once_cut_short_what_hangs_and_never_two_are_under_way(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(100)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        for number, job_id in enumerate(jobs):
            path = f"/hook_{number % 25}"
            here.receivers.manners[path] = never()
            await engine.register([job_id], f"{here.receivers.url}{path}")
            await tell(engine, job_id, 10)
        await until(lambda: len(here.receivers.webhooks) >= 100 and engine.waits_for(100))
        here.receivers.manners = {f"/hook_{number}": answers(200) for number in range(25)}
        here.time.advance(5)
        await asyncio.gather(*(tell(engine, job_id, "completed") for job_id in jobs))
        await engine.settled()

        assert [told(here, job_id) for job_id in jobs] == [[10, "completed"]] * 100
        assert "loop.failed" not in [one["event"] for one in here.logs]
        assert here.receivers.in_flight_max == 1


async def test_progress_times_out_at_five_seconds_and_is_tried_twice(tmp_path: Path) -> None:
    async with (
        stage(tmp_path, loops=DELIVER_ALONE, sender=Impatient) as here,
        here.engine() as engine,
    ):
        here.receivers.manners["/hook"] = one_after_the_other(answers(200), never())
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", 20)
        await engine.pass_time(86400)

        assert told(here, "job") == [10, 20, 20]
        assert Impatient.asked == [15, 5, 5]
        errors = here.query("SELECT error, probe FROM attempts WHERE sequence = 2")
        assert errors == [("timeout", 0)] * 2
        assert here.query("SELECT sequence, fate FROM undelivered") == [(2, "exhausted")]


async def test_a_probe_that_hangs_is_cut_short_as_well(tmp_path: Path) -> None:
    others = [f"other_{number}" for number in range(5)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(
            *[answers(500)] * 5, never(), answers(200)
        )
        await engine.register(others, here.hook)
        for job_id in others:
            await tell(engine, job_id, 10)
        await engine.settled()
        here.time.advance(5)
        await until(lambda: len(here.receivers.webhooks) == 6)
        await until(lambda: engine.waits_for(1))
        probed = here.receivers.webhooks[-1].body["jobId"]
        here.time.advance(5)
        await tell(engine, probed, "completed")
        await engine.settled()

        assert told(here, probed)[-1] == "completed"
        assert here.receivers.in_flight_max == 1
        await engine.pass_time(60)
        assert await engine.store.deliveries_waiting() == 0
