"""Fairness: no receiver holds up another."""

import asyncio
from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell
from engine_stage import stage, until
from engine_upstream import never


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
