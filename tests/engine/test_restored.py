"""Creates on a restored database: what it does not remember may have been paid for."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from engine_stage import Engine, Stage, stage, until
from engine_upstream import answers, when

from reelhook.domain.job import Job, Status
from reelhook.storage.operations import history
from reelhook.storage.sqlite.driver import connect, run

BUSY = {"Retry-After": "3600"}
_AS_IF_NEVER_SENT = (
    "UPDATE jobs SET status = 'accepted', submit_attempts = 0, submit_started_at = NULL,"
    " submit_after = NULL, submit_fingerprint = NULL WHERE id = ?1"
)


async def seen_ours(engine: Engine) -> None:
    """Make videos of our jobs that the listing has shown."""
    await asyncio.gather(*(engine.submit(f"known {number}") for number in range(2)))
    await engine.pass_time(5)


async def waiting(here: Stage, engine: Engine) -> str:
    """Submit a job that the provider does not take yet."""
    here.upstream.on_create = answers(429, None, BUSY)
    job_id = await engine.submit("a fox")
    await until_accepted_again(engine, job_id)
    here.upstream.on_create = None
    here.upstream.forget_requests()
    return job_id


async def until_accepted_again(engine: Engine, job_id: str) -> None:
    async def waits() -> bool:
        job = await engine.job(job_id)
        return job.status is Status.ACCEPTED and job.submit_attempts > 0

    await until(waits)


def restore(here: Stage, lost: str | None = None) -> None:
    """Make the database one that was restored, which never knew of a job's create."""
    with closing(connect(Path(here.folder) / "reelhook.db", read_only=False)) as database:
        database.execute("BEGIN IMMEDIATE")
        if lost is not None:
            database.execute(_AS_IF_NEVER_SENT, (lost,))
        run(database, history.restored())
        database.execute("COMMIT")


async def settled(engine: Engine, job_id: str) -> Job:
    for _ in range(40):
        await engine.pass_time(10)
        job = await engine.job(job_id)
        if job.status not in {Status.ACCEPTED, Status.SUBMITTING}:
            return job
    raise AssertionError(job)


async def test_a_job_that_was_created_after_the_copy_is_found_and_not_created_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await seen_ours(engine)
            job_id = await waiting(here, engine)
        restore(here)
        made = here.upstream.create({"prompt": "a fox", "model": "sora-2"})
        async with here.engine() as engine:
            job = await settled(engine, job_id)
    assert (job.provider_job_id, job.adopted) == (made.id, True)
    assert here.upstream.creations == 0


async def test_a_job_that_is_proven_absent_is_created_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await seen_ours(engine)
            job_id = await waiting(here, engine)
        restore(here)
        async with here.engine() as engine:
            job = await settled(engine, job_id)
    assert job.provider_job_id is not None
    assert here.upstream.creations == 1


@pytest.mark.parametrize("stranger", [True, False])
async def test_where_nobody_can_tell_a_person_decides(tmp_path: Path, stranger: bool) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await seen_ours(engine)
            job_id = await waiting(here, engine)
        restore(here)
        if stranger:
            here.upstream.create({"prompt": "what came after the copy", "model": "sora-2"})
        else:
            here.upstream.on_list = answers(405)
        async with here.engine() as engine:
            job = await settled(engine, job_id)
    assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
    assert here.upstream.creations == 0


async def test_the_response_to_a_create_whose_intent_was_lost_still_counts(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        gate = asyncio.Event()
        here.upstream.on_create = when(gate, here.upstream.take)
        job_id = await engine.submit("a fox")
        await until(lambda: here.upstream.creations)
        restore(here, lost=job_id)
        gate.set()
        job = await engine.job_when(job_id, Status.QUEUED)
    assert job.provider_job_id in here.upstream.videos
    assert not job.adopted
    assert here.upstream.creations == 1
