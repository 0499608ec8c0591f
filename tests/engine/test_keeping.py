"""Keeping: what is removed from the archive leaves its store, also one that was down."""

import asyncio
from pathlib import Path

from aiohttp import web
from archive_files import LOOPS, MIB, SourceFile, archiving, video
from engine_stage import until

from reelhook.domain.archive import FileState
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.objects.store import ObstoreObjects

REMOVING = LOOPS | {"keeping", "removing"}
DAY = 24 * 3600
FAR = 2**62


class StubbornObjects(ObstoreObjects):
    """A store that deletes nothing while it is `down`, and never what is `held`."""

    def __init__(self, folder: Path) -> None:
        super().__init__((folder / "archive").as_uri())
        self.down = False
        self.held: set[str] = set()

    async def delete(self, keys: list[str] | tuple[str, ...]) -> None:  # type: ignore[override] # the loop gives lists
        if self.down:
            raise ObjectStoreError(self.name, "the connection was refused")
        if self.held & set(keys):
            raise ObjectStoreError(self.name, "access denied", refused=True)
        await super().delete(keys)


def stored_in(folder: Path) -> list[str]:
    return [path.name for path in (folder / "archive").rglob("*.mp4")]


async def test_a_deleted_jobs_file_leaves_the_store_once_it_responds(tmp_path: Path) -> None:
    objects = StubbornObjects(tmp_path)
    async with archiving(tmp_path, SourceFile(video(MIB)), loops=REMOVING, objects=objects) as one:
        await one.complete("job_1", "job_2")
        await one.engine.settled()
        assert sorted(stored_in(tmp_path)) == ["job_1.mp4", "job_2.mp4"]
        objects.down = True
        assert await one.engine.store.delete_job("job_1", one.here.clock.now())
        one.engine.signals.removals.publish()
        await one.engine.settled()
        assert sorted(stored_in(tmp_path)) == ["job_1.mp4", "job_2.mp4"]
        objects.down = False
        await one.engine.pass_time(31)
        assert stored_in(tmp_path) == ["job_2.mp4"]
        events = [line["event"] for line in one.here.logs]
        assert events.count("archive.deletion_deferred") == 1


async def test_an_object_that_the_store_holds_keeps_no_other_one(tmp_path: Path) -> None:
    objects = StubbornObjects(tmp_path)
    objects.held = {"videos/job_1.mp4"}
    async with archiving(tmp_path, SourceFile(video(MIB)), loops=REMOVING, objects=objects) as one:
        await one.complete("job_1", "job_2")
        await one.engine.settled()
        for job_id in ("job_1", "job_2"):
            assert await one.engine.store.delete_job(job_id, one.here.clock.now())
        one.engine.signals.removals.publish()
        await one.engine.settled()
        assert stored_in(tmp_path) == ["job_1.mp4"]
        objects.held = set()
        await one.engine.pass_time(3700)
        assert stored_in(tmp_path) == []


async def test_a_file_whose_job_was_deleted_meanwhile_leaves_also_a_store_that_was_down(
    tmp_path: Path,
) -> None:
    class Deleting(StubbornObjects):
        async def put(
            self, key: str, file: Path, content_type: str, *, disposition: str = ""
        ) -> None:
            await super().put(key, file, content_type, disposition=disposition)
            assert await one.engine.store.delete_job("job_1", one.here.clock.now())
            self.down = True

    objects = Deleting(tmp_path)
    async with archiving(tmp_path, SourceFile(video(MIB)), loops=REMOVING, objects=objects) as one:
        await one.complete("job_1")
        await one.engine.settled()
        assert stored_in(tmp_path) == ["job_1.mp4"]
        objects.down = False
        await one.engine.pass_time(120)
        assert stored_in(tmp_path) == []


async def test_an_object_that_a_kill_left_unrecorded_goes_with_its_job(tmp_path: Path) -> None:
    class Killed(ObstoreObjects):
        async def size(self, key: str) -> int | None:
            await asyncio.Event().wait()
            return None

    objects = Killed((tmp_path / "archive").as_uri())
    source = SourceFile(video(MIB))
    async with archiving(tmp_path, source, objects=objects) as one:
        await one.complete("job_1")
        await until(lambda: stored_in(tmp_path))
    async with archiving(tmp_path, source, loops=frozenset({"removing"})) as one:
        assert (await one.file("job_1")).state is FileState.WAITING
        assert await one.engine.store.delete_job("job_1", one.here.clock.now())
        await one.engine.pass_time(3700)
        assert stored_in(tmp_path) == []


async def test_a_job_that_is_deleted_while_its_file_is_lost_is_no_failure(tmp_path: Path) -> None:
    class Deleting(SourceFile):
        async def respond(self, request: web.Request) -> web.StreamResponse:
            found = await one.engine.store.archived_file("job_1")
            if found is not None and one.here.clock.now() >= (found.missing_since or FAR) + 600_000:
                assert await one.engine.store.delete_job("job_1", one.here.clock.now())
            return await super().respond(request)

    async with archiving(tmp_path, Deleting(video(MIB), missing=True)) as one:
        await one.complete("job_1")
        await one.engine.pass_time(1300)
        assert await one.engine.store.archived_file("job_1") is None
        assert "task.failed" not in [line["event"] for line in one.here.logs]


async def test_files_that_are_too_old_are_removed_by_themselves(tmp_path: Path) -> None:
    source = SourceFile(video(MIB))
    async with archiving(tmp_path, source, loops=REMOVING, archive_keep_days=2) as one:
        await one.complete("job_1")
        await one.engine.settled()
        assert stored_in(tmp_path) == ["job_1.mp4"]
        one.here.time.advance(2 * DAY + 3600)
        await one.engine.settled()
        assert stored_in(tmp_path) == []
        file = await one.file("job_1")
        assert (file.state, file.error) == (FileState.REMOVED, "it was older than 2 days")
