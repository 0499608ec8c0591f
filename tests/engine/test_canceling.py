"""A cancel that others keep overtaking says so, rather than that all is well."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_clock import ManualClock
from engine_stage import Engine, stage

from reelhook.domain.errors import JobConflictError
from reelhook.domain.job import Status
from reelhook.domain.reservation import BillOutcome, bill_of
from reelhook.ports import Change, StoredJob
from reelhook.storage.store import Store


class Overtaking(Store):
    """A store in which someone else writes each job right after it was read, while `races` last."""

    races = 0

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        stored = await super().job(job_id, project)
        if self.races:
            self.races -= 1
            assert await self.record([Change(stored.job)], None) == [job_id]
        return stored


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    nothing = frozenset[str]()
    async with stage(tmp_path, store=Overtaking, loops=nothing) as one, one.engine() as running:
        yield running


def races(engine: Engine, number: int) -> None:
    assert isinstance(engine.store, Overtaking)
    engine.store.races = number


async def test_a_cancel_that_lost_every_race_is_a_conflict(engine: Engine) -> None:
    job_id = await engine.submit("A fox")
    races(engine, 5)
    with pytest.raises(JobConflictError, match="kept changing"):
        await engine.service.cancel(job_id)
    assert (await engine.store.job(job_id)).job.status is Status.ACCEPTED


async def test_a_cancel_that_lost_four_races_cancels(engine: Engine) -> None:
    job_id = await engine.submit("A fox")
    races(engine, 4)
    assert (await engine.service.cancel(job_id)).job.status is Status.CANCELED


async def test_a_status_that_could_not_be_written_is_a_conflict(engine: Engine) -> None:
    job_id = (await engine.service.register("video_1")).job_id
    before = (await engine.store.job(job_id)).job.status
    races(engine, 5)
    with pytest.raises(JobConflictError, match="not written"):
        await engine.service.update_status(job_id, "failed", None)
    assert (await engine.store.job(job_id)).job.status is before


class Begun(Store):
    """The worker stores its intent right after a cancel has read the job."""

    begin = False

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        stored = await super().job(job_id, project)
        if self.begin:
            self.begin = False
            await self.record([Change(stored.job.submitting(stored.job.created_at))], None)
        return stored


async def test_a_create_that_began_after_the_cancel_read_the_job_is_not_said_to_be_stopped(
    tmp_path: Path,
) -> None:
    async with (
        stage(tmp_path, store=Begun, loops=frozenset[str]()) as here,
        here.engine() as engine,
    ):
        job_id = await engine.submit("A fox")
        assert isinstance(engine.store, Begun)
        assert isinstance(here.clock, ManualClock)
        engine.store.begin = True
        canceling = asyncio.create_task(engine.service.cancel(job_id, force=True))
        while not canceling.done():  # it waits for the end of the create
            here.clock.advance(1)
            await asyncio.sleep(0)
        job = (await canceling).job
    assert (job.status, job.submit_attempts, job.stopped) == (Status.CANCELED, 1, None)
    assert bill_of(job).ending is BillOutcome.SPENT
