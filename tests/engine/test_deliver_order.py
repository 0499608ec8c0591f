"""Order within a job, and what a newer event supersedes."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from engine_delivering import DELIVER_ALONE, tell, told
from engine_stage import stage, until
from engine_upstream import answers, when


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
