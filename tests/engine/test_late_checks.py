"""Late checks: a video that turns up after its job was given up is kept, and announced."""

from pathlib import Path

from archive_files import LOOPS, MIB, SourceFile, archiving, video
from engine_stage import stage

from reelhook.domain.archive import FileState
from reelhook.domain.endpoint import EventName
from reelhook.domain.job import Status

LATE = LOOPS | {"late_checks"}
HOUR = 3600
DAY = 24 * HOUR


async def test_a_video_that_turns_up_is_archived_and_announced_and_the_job_stays_failed(
    tmp_path: Path,
) -> None:
    source = SourceFile(video(MIB))
    async with archiving(tmp_path, source, loops=LATE, max_age_hours=2) as one:
        await one.engine.endpoint(one.here.hook, events=frozenset({EventName.JOB_RECOVERED}))
        one.here.upstream.add("job_1", status="in_progress", progress=40)
        await one.engine.register(["job_1"])
        one.here.time.advance(2 * HOUR + 60)
        job = await one.engine.job_when("job_1", Status.FAILED)
        assert job.code == "expired"
        await one.engine.settled()
        one.here.upstream.change("job_1", status="completed", progress=100)
        one.here.time.advance(DAY + 700)
        await one.engine.settled()
        after = await one.engine.job("job_1")
        assert (after.status, after.code) == (Status.FAILED, "expired")
        assert after.recovered_at is not None
        assert await one.stored_bytes("job_1") == source.content
        (told,) = one.here.receivers.at("/hook")
        assert (told.body["event"], told.body["status"]) == ("job.recovered", "failed")
        assert told.body["recovered"] is True


async def test_a_job_that_its_provider_still_does_not_know_is_asked_for_three_days(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=LATE) as here, here.engine() as engine:
        here.upstream.add("job_1", status="in_progress")
        await engine.register(["job_1"])
        await engine.settled()
        here.upstream.videos.clear()
        await engine.pass_time(15 * 60)
        assert (await engine.job("job_1")).status is Status.FAILED
        here.upstream.asked.clear()
        for _ in range(5 * 24):
            here.time.advance(HOUR)
            await engine.settled()
        asked = [one for one in here.upstream.asked if one.kind == "get"]
        assert len(asked) == 3
        assert (await engine.job("job_1")).recovered_at is None


async def test_a_video_that_a_person_adopted_is_archived_like_any_other(tmp_path: Path) -> None:
    source = SourceFile(video(MIB))
    async with archiving(tmp_path, source, loops=LATE) as one:
        one.here.upstream.add("video_of_another", status="completed", progress=100)
        await one.engine.service.register("video_of_another", "job_1")
        file = await one.settled_file("job_1")
        assert file.state is FileState.STORED
        assert await one.stored_bytes("job_1") == source.content
