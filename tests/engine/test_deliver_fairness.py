"""Fairness: no receiver holds up another."""

import asyncio
from pathlib import Path

import pytest
from engine_delivering import DELIVER_ALONE, tell, tell_all
from engine_outage import Held
from engine_stage import stage, until
from engine_upstream import answers, never


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

        await until(all_ended, seconds=10)  # long before an attempt at the deaf one is given up
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


async def test_however_much_waits_at_a_hung_endpoint_others_are_served_in_the_same_instant(
    tmp_path: Path,
) -> None:
    deaf = [f"deaf_{number}" for number in range(1200)]
    healthy = [f"job_{number}" for number in range(200)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/deaf"] = never()
        await engine.register(deaf, f"{here.receivers.url}/deaf")
        for number in range(20):
            await engine.register(healthy[number::20], f"{here.receivers.url}/hook_{number}")
        await tell_all(engine, deaf, "completed")
        await until(lambda: engine.waits_for(4))
        await tell_all(engine, healthy, "completed")

        # The clock stands still: anything that waited for time to pass would wait in vain.
        await until(lambda: engine.waits_for(4))
        assert {one.body["jobId"] for one in here.receivers.webhooks if one.path != "/deaf"} == set(
            healthy
        )
        assert len(here.receivers.at("/deaf")) == 4


# More than are read at once.
@pytest.mark.long
async def test_of_very_many_endpoints_none_is_left_out(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(2200)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(loops=frozenset()) as engine:
            await asyncio.gather(
                *(engine.register([one], f"{here.receivers.url}/{one}") for one in jobs)
            )
            await tell_all(engine, jobs, "completed")
        async with here.engine() as engine:
            await until(lambda: len(here.receivers.webhooks) >= len(jobs))
            await engine.settled()

    assert sorted(one.path for one in here.receivers.webhooks) == sorted(f"/{one}" for one in jobs)


async def test_the_limit_of_one_endpoint_is_a_setting(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(40)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine(concurrency=7) as engine:
        here.receivers.manners["/hook"] = here.receivers.manners["/own"] = never()
        own = await engine.endpoint(f"{here.receivers.url}/own", concurrency=11)
        await engine.register(jobs[:20], here.hook)
        await engine.register(jobs[20:], endpoints=[own.id])
        await tell_all(engine, jobs, "completed")
        await until(lambda: len(here.receivers.webhooks) >= 18)
        await until(lambda: engine.waits_for(18))

        assert len(here.receivers.at("/hook")) == 7
        assert len(here.receivers.at("/own")) == 11


async def test_one_that_is_slow_gets_everything_though_nothing_else_happens(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(10)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine(concurrency=1) as engine:
        here.receivers.manners["/hook"] = held = Held()
        await engine.register(jobs, here.hook)
        await tell_all(engine, jobs, "completed")
        for _ in jobs:
            await until(lambda: held.waiting)
            here.time.advance(2)  # long enough for deliveries that were read ahead to be read again
            held.waiting.pop().set()
        await engine.settled()

        assert sorted(held.jobs) == sorted(jobs)


async def test_retries_that_hang_leave_half_of_the_slots_to_first_attempts(tmp_path: Path) -> None:
    failing = [f"failing_{number}" for number in range(160)]
    healthy = [f"job_{number}" for number in range(80)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        held = Held()
        for number in range(40):
            path = f"/failing_{number}"
            here.receivers.manners[path] = answers(500)
            await engine.register(failing[number::40], f"{here.receivers.url}{path}")
        await tell_all(engine, failing, "completed")
        await engine.settled()
        here.receivers.manners = {f"/failing_{number}": held for number in range(40)}
        here.time.advance(6)  # when all retries are due
        await until(lambda: engine.waits_for(128))

        for number in range(20):
            await engine.register(healthy[number::20], f"{here.receivers.url}/hook_{number}")
        await tell_all(engine, healthy, "completed")
        await until(lambda: engine.waits_for(128))
        assert {one.body["jobId"] for one in here.receivers.webhooks[288:]} == set(healthy)

        # A new event does not wait for the retries of its own endpoint either.
        waiting = set(failing) - set(held.jobs)
        path = next(one.path for one in here.receivers.webhooks if one.body["jobId"] in waiting)
        held.open = True
        await engine.register(["new"], f"{here.receivers.url}{path}")
        await tell(engine, "new", "completed")
        await until(lambda: held.jobs.count("new") == 1, seconds=10)

        held.let_all()
        await engine.settled()
        assert await engine.store.deliveries_waiting() == 0
