"""The runner: loops that nothing ends but the stop, and a stop that loses nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from engine_clock import ManualClock
from engine_stage import stage, until
from engine_upstream import answers, never, when
from structlog.testing import capture_logs

from reelhook.domain.job import Status
from reelhook.engine.runner import Runner, RunningTasks


class Counting:
    """A loop that counts its ticks, and fails in the given ones."""

    def __init__(self, name: str, fails: int = 0, seconds: float | None = None) -> None:
        self.name = name
        self.signal = asyncio.Event()
        self.tasks = RunningTasks(self.signal)
        self.ticks = 0
        self._fails = fails
        self._seconds = seconds

    async def tick(self) -> float | None:
        self.ticks += 1
        if self.ticks <= self._fails:
            raise RuntimeError("a bug")
        return self._seconds


@pytest.fixture(autouse=True)
def logs() -> Any:
    with capture_logs() as captured:
        yield captured


async def test_a_tick_that_raises_ends_neither_its_loop_nor_another(
    logs: list[dict[str, Any]],
) -> None:
    clock, broken, sound = ManualClock(), Counting("broken", fails=3), Counting("sound")
    runner = Runner([broken, sound], clock)
    runner.start()
    for ticks in (1, 2, 3, 4):
        await until(lambda: clock.awaits(broken.signal))
        assert broken.ticks == ticks
        sound.signal.set()
        clock.advance(1)
    await until(lambda: sound.ticks == 5)
    await runner.stop()

    assert [log["loop"] for log in logs if log["event"] == "loop.failed"] == ["broken"] * 3


async def test_a_signal_that_comes_during_a_tick_is_not_lost() -> None:
    clock = ManualClock()

    class Busy(Counting):
        async def tick(self) -> float | None:
            await super().tick()
            if self.ticks == 1:
                self.signal.set()
            return None

    loop = Busy("busy")
    runner = Runner([loop], clock)
    runner.start()
    await until(lambda: clock.awaits(loop.signal))
    await runner.stop()

    assert loop.ticks == 2


async def test_a_task_that_raises_is_logged_and_wakes_its_loop(
    logs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelhook.engine.runner.PAUSE_AFTER_ERROR_SECONDS", 0.01)
    signal, done = asyncio.Event(), asyncio.Event()
    tasks = RunningTasks(signal)

    async def fail() -> None:
        raise RuntimeError("a bug")

    tasks.spawn(fail(), done.set, job="job_1")
    await signal.wait()

    assert done.is_set()
    assert len(tasks) == 0
    assert [log["job"] for log in logs if log["event"] == "task.failed"] == ["job_1"]


async def test_a_stop_lets_what_is_under_way_end() -> None:
    loop, clock, ended = Counting("loop"), ManualClock(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.05)
        ended.set()

    runner = Runner([loop], clock)
    runner.start()
    loop.tasks.spawn(work())
    await runner.stop(5)

    assert ended.is_set()


@pytest.mark.parametrize("where", ["a tick", "a task"])
async def test_a_stop_cuts_off_in_time_what_does_not_end(where: str) -> None:
    class Stuck(Counting):
        async def tick(self) -> float | None:
            if where == "a tick":
                await asyncio.Event().wait()
            return None

    async def stuck() -> None:
        await asyncio.Event().wait()

    loop, clock = Stuck("stuck"), ManualClock()
    runner = Runner([loop], clock)
    runner.start()
    await asyncio.sleep(0)
    if where == "a task":
        loop.tasks.spawn(stuck())
    now = asyncio.get_running_loop().time
    started = now()
    await runner.stop(0.3)

    assert 0.25 < now() - started < 2
    assert len(loop.tasks) == 0


async def test_a_stop_sends_no_webhook_that_has_not_begun(tmp_path: Path) -> None:
    gate = asyncio.Event()
    alone = frozenset({"deliver"})
    async with stage(tmp_path, loops=alone) as here:
        here.receivers.manners["/hook"] = when(gate, answers(200))
        names = [f"job_{number}" for number in range(30)]
        async with here.engine() as engine:
            await engine.register(names, here.hook)
            for job_id in names:
                await engine.service.update_status(job_id, "completed", None)
            await until(lambda: len(here.receivers.webhooks) == 4)
            stopping = asyncio.create_task(engine.runner.stop(5))
            await asyncio.sleep(0)  # the stop has begun
            gate.set()
            await stopping
            assert len(here.receivers.webhooks) == 4
        async with here.engine() as engine:
            await engine.settled()

        assert sorted(one.body["jobId"] for one in here.receivers.webhooks) == sorted(names)


async def test_a_stop_between_intent_and_call_puts_no_job_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await engine.settled()
            record, stored, held = engine.store.record, asyncio.Event(), asyncio.Event()

            async def held_back(*change: Any) -> list[str]:
                written = await record(*change)
                stored.set()
                await held.wait()
                return written

            monkeypatch.setattr(engine.store, "record", held_back)
            job_id = await engine.submit("a fox")
            await stored.wait()
            stopping = asyncio.create_task(engine.runner.stop(5))
            await asyncio.sleep(0)
            held.set()
            await stopping
            job = await engine.job(job_id)

        assert (job.status, job.adopted) == (Status.QUEUED, False)
        assert here.upstream.creations == 1


async def test_a_create_that_is_cut_off_is_looked_up_at_the_next_start(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:

        async def created_and_silent(request: Any) -> Any:
            here.upstream.create(await request.json())
            return await never()(request)

        here.upstream.on_create = created_and_silent
        async with here.engine() as engine:
            job_id = await engine.submit("a fox")
            await until(lambda: here.upstream.videos)
            await engine.runner.stop(0.05)
        here.upstream.on_create = None
        async with here.engine() as engine:
            await engine.settled()
            job = await engine.job(job_id)

        assert (job.status, job.adopted) == (Status.QUEUED, True)
        assert here.upstream.creations == 1
