"""A provider that asks for a pause gets it, within reason, and the pause is reported."""

from pathlib import Path
from typing import Any

import pytest
from engine_stage import Stage, stage, until
from engine_upstream import answers, one_after_the_other, reset

from reelhook.domain.job import Status

WATCH_ALONE = frozenset({"watch", "account_status"})
A_DAY = {"Retry-After": "86400"}


def told(here: Stage, event: str) -> list[dict[str, Any]]:
    return [dict(line) for line in here.logs if line["event"] == event]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_s_retry_after_of_a_day_is_obeyed_for_ten_minutes_and_told_once(
    tmp_path: Path, status: int
) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        names = [f"job_{number}" for number in range(20)]
        here.upstream.add(*names)
        await engine.register(names)
        await engine.settled()
        here.upstream.on_list = here.upstream.on_get = answers(status, None, A_DAY)
        here.time.advance(5)
        await until(lambda: told(here, "account.reads_wait"))
        here.upstream.on_list = here.upstream.on_get = None
        here.upstream.change(*names, status="completed")
        here.upstream.forget_requests()
        begun = here.time.now()
        await until(lambda: here.time.awaits(engine.loops["account_status"].signal))
        (account,) = (await engine.operations.stats())["accounts"]
        assert account["reads_wait_until"] == begun + 600_000
        (line,) = told(here, "account.reads_wait")
        assert (line["account"], line["asked_seconds"]) == ("openai", 86400)
        assert line["log_level"] == "warning"
        here.time.advance(599)
        await until(lambda: here.time.awaits(engine.loops["watch"].signal))
        assert not here.upstream.asked
        here.time.advance(1)
        await engine.settled()

        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}
        (account,) = (await engine.operations.stats())["accounts"]
        assert account["reads_wait_until"] is None
        assert len(told(here, "account.reads_wait")) == 1


async def test_a_short_wait_is_not_worth_a_warning(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a")
        here.upstream.on_get = here.upstream.on_list = answers(429, None, {"Retry-After": "2"})
        await engine.register(["a"])
        await engine.pass_time(30)

        assert not told(here, "account.reads_wait")


async def test_a_lost_create_is_not_looked_up_sooner_than_the_provider_wants(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = one_after_the_other(reset, here.upstream.take)
        here.upstream.on_list = one_after_the_other(
            answers(503, None, {"Retry-After": "120"}), here.upstream.list_page
        )
        job_id = await engine.submit("a fox")
        await until(lambda: told(here, "account.reads_wait"))
        here.upstream.add("found", prompt="a fox")
        for _ in range(12):
            here.time.advance(10)
            await until(lambda: here.time.awaits(engine.loops["submit"].signal))

        assert (await engine.job_when(job_id, Status.QUEUED)).provider_job_id == "found"
        assert [line["account"] for line in told(here, "account.reads_wait")] == ["openai"]


async def test_a_create_s_long_retry_after_is_told_with_its_end(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = answers(429, {"error": {"message": "no quota"}}, A_DAY)
        begun = here.time.now()
        for script in ("a fox", "another"):
            await engine.submit(script)
        await engine.settled()

        (account,) = (await engine.operations.stats())["accounts"]
        assert account["creates_wait_until"] == begun + 86_400_000
        (line,) = told(here, "account.creates_wait")
        assert (line["account"], line["error"]) == ("openai", "no quota")
