"""Two projects at one account: their jobs are created in turn, in the order that was foretold."""

from collections.abc import Sequence
from pathlib import Path

from engine_clock import ManualClock
from engine_stage import Engine, Played, Stage, stage, until
from engine_upstream import upstream

from reelhook.domain.caller import OPERATOR
from reelhook.domain.catalog import Account
from reelhook.domain.priority import Priority
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI

ONE_SLOT = Account("openai", "openai", jobs_max=1)


def projects(here: Stage, *names: str) -> None:
    for name in names:
        here.query("INSERT INTO projects (id, name, created_at) VALUES (?1, ?1, 1)", name)


async def submit(
    engine: Engine, script: str, model: str = "sora-2", priority: Priority = Priority.NORMAL
) -> str:
    """Submit a job of the project that its script begins with."""
    caller = OPERATOR.within(script.partition(" ")[0])
    request = VideoRequest(script, model=model)
    created = await engine.service._new_jobs.submit(caller, request, priority=priority)
    await engine.settled()
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(0.001)
    return created.job_id


async def end_one(here: Stage, engine: Engine) -> None:
    running = [one for one in here.upstream.videos.values() if one.status == "queued"]
    here.upstream.change(running[0].id, status="completed")
    await engine.pass_time(6)


async def foretold(engine: Engine, ids: Sequence[str]) -> list[int | None]:
    return [await engine.service.queue_position(await engine.job(job_id)) for job_id in ids]


async def test_a_project_with_few_jobs_waits_for_one_turn_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, accounts=(Played(ONE_SLOT),)) as here:
        async with here.engine() as engine:
            projects(here, "a", "b")
            many = [await submit(engine, f"a {number}") for number in range(6)]
            few = [await submit(engine, f"b {number}") for number in range(2)]
            assert await foretold(engine, [*many, *few]) == [None, 1, 3, 4, 5, 6, 0, 2]
            await end_one(here, engine)
        async with here.engine() as engine:
            urgent = await submit(engine, "a urgent", priority=Priority.HIGH)
            assert await foretold(engine, [*many[1:], few[1], urgent]) == [2, 3, 4, 5, 6, 1, 0]
            for _ in range(4):
                await end_one(here, engine)
            prompts = [one.prompt for one in here.upstream.videos.values()]
            assert prompts == ["a 0", "b 0", "a urgent", "b 1", "a 1", "a 2"]


async def test_jobs_that_another_account_takes_are_taken_in_turn_too(tmp_path: Path) -> None:
    small = Account("small", "openai", weight=1000, jobs_max=1)
    large = Account("large", "openai", jobs_max=2)
    async with stage(tmp_path) as here, upstream(lambda: here.clock.now() / 1000) as there:
        played = (Played(small), Played(large, OpenAI, there.url))
        async with here.engine(accounts=played) as engine:
            projects(here, "a", "b")
            for number in range(4):
                await submit(engine, f"a {number}")
            await submit(engine, "b 0")
            await engine.pass_time(10)
            await until(lambda: there.creations == 2)
            assert sorted(one.prompt for one in there.videos.values()) == ["a 1", "b 0"]
