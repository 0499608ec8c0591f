"""A job whose image or video is made by an earlier job."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from archive_files import LOOPS, SourceFile
from engine_stage import Engine, Stage, stage, until

from reelhook.domain.caller import OPERATOR
from reelhook.domain.job import Job, Status
from reelhook.domain.media import content_type_of
from reelhook.domain.media_errors import (
    JobNotFinishedError,
    UnknownSourceJobError,
    VideoOfJobGoneError,
)
from reelhook.engine.submitting.fetch_slots import PER_HOST_AT_ONCE
from reelhook.objects.store import ObstoreObjects

sys.path.append(str(Path(__file__).parents[1] / "frames"))
from videos import video

CHAINING = LOOPS | {"submit", "preparing"}


@asynccontextmanager
async def chaining(
    folder: Path, *, archived: bool = True, **options: Any
) -> AsyncIterator[tuple[Stage, Engine]]:
    """Run an engine in which `job_1` has completed, with or without an archive."""
    source = SourceFile(video())
    objects = ObstoreObjects((folder / "archive").as_uri()) if archived else None
    async with stage(folder, loops=CHAINING) as here:
        here.upstream.on_content = source.respond
        async with here.engine(objects=objects, **options) as engine:
            here.upstream.add("job_1", status="completed", progress=100)
            await engine.register(["job_1"])
            await engine.settled()
            assert (await engine.job("job_1")).status is Status.COMPLETED
            yield here, engine


def sent_files(here: Stage) -> list[bytes]:
    """Return the list that the files of creates will be in."""
    sent: list[bytes] = []

    async def look(request: web.Request) -> web.StreamResponse:
        file = (await request.post()).get("input_reference")
        assert isinstance(file, web.FileField)
        sent.append(file.file.read())
        return await here.upstream.take(request)

    here.upstream.on_create = look
    return sent


async def failed(here: Stage, engine: Engine, job_id: str) -> Job:
    """Wait until a job has failed, while time passes."""

    async def look() -> Job | None:
        here.time.advance(0.5)
        job = await engine.job(job_id)
        return job if job.status.terminal else None

    found = await until(look)
    assert isinstance(found, Job)
    return found


@pytest.mark.parametrize("archived", [True, False])
async def test_the_last_frame_of_a_job_is_the_image_of_the_next(
    tmp_path: Path, archived: bool
) -> None:
    async with chaining(tmp_path, archived=archived) as (here, engine):
        sent = sent_files(here)
        job_id = await engine.submit("a fox", image="job:job_1")
        await engine.job_when(job_id, Status.QUEUED)
        assert [content_type_of(file) for file in sent] == ["image/png"]
        assert here.query("SELECT count(*) FROM job_files WHERE job_id = ?", job_id) == [(1,)]
        assert not list((tmp_path / "spool").glob("copy-*"))


async def test_a_job_that_is_not_completed_is_refused_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    async with chaining(tmp_path) as (here, engine):
        here.upstream.add("job_2")
        await engine.register(["job_2"])
        with pytest.raises(JobNotFinishedError) as caught:
            await engine.submit("a fox", image="job:job_2")
        assert (caught.value.code, caught.value.field) == ("job_not_finished", "image")
        assert "wait until it is completed" in caught.value.message
        await engine.gateway.jobs.cancel(OPERATOR, "job_2", force=True)
        with pytest.raises(JobNotFinishedError, match="is canceled; name another job"):
            await engine.submit("a fox", image="job:job_2")
        with pytest.raises(UnknownSourceJobError):
            await engine.submit("a fox", image="job:job_3")
        assert len(await engine.jobs()) == 2


async def test_a_video_that_was_removed_is_refused(tmp_path: Path) -> None:
    async with chaining(tmp_path) as (here, engine):
        here.query("UPDATE archive SET state = 'removed'")
        with pytest.raises(VideoOfJobGoneError, match="removed from the archive"):
            await engine.submit("a fox", image="job:job_1")


async def test_a_video_that_was_given_up_is_used_while_its_provider_has_it(tmp_path: Path) -> None:
    async with chaining(tmp_path) as (here, engine):
        here.query("UPDATE archive SET state = 'lost', key = NULL, error = 'it was too large'")
        sent = sent_files(here)
        job_id = await engine.submit("a fox", image="job:job_1")
        await engine.job_when(job_id, Status.QUEUED)
        assert [content_type_of(file) for file in sent] == ["image/png"]
        here.query("UPDATE archive SET missing_since = 1")
        with pytest.raises(VideoOfJobGoneError, match="deleted it before it was archived"):
            await engine.submit("a fox", image="job:job_1")


async def test_a_source_that_is_deleted_before_it_is_read_costs_nothing(tmp_path: Path) -> None:
    async with chaining(tmp_path, archived=False) as (here, engine):

        async def deleted(_: web.Request) -> web.StreamResponse:
            return web.Response(status=404)

        here.upstream.on_content = deleted
        job_id = await engine.submit("a fox", image="job:job_1")
        job = await failed(here, engine, job_id)
        assert (job.code, here.upstream.creations) == ("image_unavailable", 0)
        assert "The last frame of job_1" in (job.error or "")
        assert "not archived" in (job.error or "")


async def test_a_job_deleted_before_its_video_is_read_ends_the_next_unpaid(tmp_path: Path) -> None:
    waiting = CHAINING - {"preparing"}
    async with chaining(tmp_path, loops=waiting) as (here, engine):
        job_id = await engine.submit("a fox", image="job:job_1")
        await engine.gateway.jobs.delete(OPERATOR, "job_1")
        await engine.settled()
        assert (await engine.job(job_id)).status is Status.ACCEPTED
    async with stage(tmp_path, loops=CHAINING) as here, here.engine() as engine:
        job = await failed(here, engine, job_id)
        assert (job.code, here.upstream.creations) == ("image_unavailable", 0)
        assert job.error == "The last frame of job_1 can't be used: the job was deleted"
        assert here.query("SELECT count(*) FROM reservations") == [(0,)]


async def test_few_videos_are_read_at_once(tmp_path: Path) -> None:
    gate, reading, most = asyncio.Event(), 0, 0
    source = SourceFile(video())

    async def slowly(request: web.Request) -> web.StreamResponse:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await gate.wait()
        reading -= 1
        return await source.respond(request)

    async with chaining(tmp_path, archived=False) as (here, engine):
        here.upstream.on_content = slowly
        jobs = [await engine.submit("a fox", reference_videos=("job:job_1",)) for _ in range(12)]
        await until(lambda: reading == PER_HOST_AT_ONCE)
        gate.set()
        for job_id in jobs:  # this provider takes no videos, so the job ends once it is prepared
            await engine.job_when(job_id, Status.FAILED)
        assert most == PER_HOST_AT_ONCE
        assert here.query("SELECT count(*) FROM files") == [(1,)]


async def test_a_file_without_a_frame_costs_nothing(tmp_path: Path) -> None:
    async with chaining(tmp_path, archived=False) as (here, engine):
        here.upstream.on_content = SourceFile(b"\0\0\0\x18ftypmp42" + b"x" * 5000).respond
        job_id = await engine.submit("a fox", image="job:job_1")
        job = await failed(here, engine, job_id)
        assert (job.code, here.upstream.creations) == ("image_unavailable", 0)
        assert "no frame" in (job.error or "")
