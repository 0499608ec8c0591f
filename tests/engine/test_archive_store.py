"""Archive: a store that refuses, hangs, or loses a part, and disks that fill up."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from archive_files import LOOPS, MIB, SourceFile, archiving, spooled, video
from engine_stage import until

from reelhook.domain.archive import FileState
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.archive_pause import PauseCause
from reelhook.domain.caller import OPERATOR
from reelhook.domain.job import Status
from reelhook.engine.archive.disks import Disks
from reelhook.engine.archive.shared import SharedArchive
from reelhook.engine.archive.spool import Spool
from reelhook.objects.store import ObstoreObjects


class TroubledObjects(ObstoreObjects):
    """A store that fails at `trouble`, until it is None."""

    def __init__(self, folder: Path) -> None:
        super().__init__((folder / "archive").as_uri())
        self.trouble: str | None = None
        self.puts = 0

    async def put(self, key: str, file: Path, content_type: str, *, disposition: str = "") -> None:
        self.puts += 1
        if self.trouble == "refuses":
            raise ObjectStoreError(self.name, "access denied")
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        await super().put(key, file, content_type, disposition=disposition)
        if self.trouble == "loses a part":
            path = self.local_path(key)
            assert path is not None
            path.write_bytes(path.read_bytes()[:-10])


def with_space(space: Callable[[], int]) -> Callable[[SharedArchive], SharedArchive]:
    """Return a change of the archive's parts: so many bytes of 100 GiB are free."""

    def changed(shared: SharedArchive) -> SharedArchive:
        spool = Spool(shared.spool.folder, lambda _: (space(), 100 * 1024**3))
        return replace(shared, spool=spool, disks=Disks(spool, shared.objects))

    return changed


async def test_half_an_upload_that_a_kill_left_in_the_folder_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "archive" / "videos" / "job_1.mp4#1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of it")
    os.utime(left, (0, 0))
    async with archiving(tmp_path, SourceFile(video(MIB)), loops=LOOPS | {"spool"}) as one:
        await one.engine.settled()
        assert not left.exists()


async def test_while_the_store_refuses_files_are_fetched_and_all_are_stored_afterwards(
    tmp_path: Path,
) -> None:
    source, objects = SourceFile(video(MIB)), TroubledObjects(tmp_path)
    objects.trouble = "refuses"
    async with archiving(tmp_path, source, objects=objects) as one:
        ids = [f"job_{number}" for number in range(10)]
        await one.complete(*ids)
        await one.engine.settled()
        await one.engine.pass_time(300)
        assert len(source.asked) == len(ids)
        assert objects.puts < 40
        pause = one.engine.health["openai"].archive
        assert pause is not None
        assert pause.cause is PauseCause.STORE_UNAVAILABLE
        assert "access denied" in pause.message
        for job_id in ids:
            file, job = await one.file(job_id), await one.engine.job(job_id)
            assert (file.state, file.attempts) == (FileState.WAITING, 0)
            assert job.status is Status.COMPLETED
        lines = [line for line in one.here.logs if line["event"] == "archive.paused"]
        assert 1 <= len(lines) <= 6

        objects.trouble, source.missing = None, True
        await one.engine.pass_time(120)
        for job_id in ids:
            assert await one.stored_bytes(job_id) == source.content
        assert one.engine.health["openai"].archive is None
        assert spooled(tmp_path) == []


async def test_an_object_that_lost_a_part_is_not_recorded_as_stored(tmp_path: Path) -> None:
    source, objects = SourceFile(video(MIB)), TroubledObjects(tmp_path)
    objects.trouble = "loses a part"
    async with archiving(tmp_path, source, objects=objects) as one:
        await one.complete("job_1")
        assert (await one.settled_file("job_1")).state is FileState.WAITING
        objects.trouble = None
        await one.engine.pass_time(60)
        assert await one.stored_bytes("job_1") == source.content
        assert len(source.asked) == 1


async def test_nothing_is_fetched_while_little_of_the_disk_is_free(tmp_path: Path) -> None:
    free = 4 * 1024**3
    source = SourceFile(video(MIB))
    async with archiving(tmp_path, source, shared=with_space(lambda: free)) as one:
        await one.complete("job_1")
        await one.engine.settled()
        pause = one.engine.health["openai"].archive
        assert pause is not None
        assert pause.cause is PauseCause.DISK_FULL
        assert "4.0 GiB are free" in pause.message
        assert source.asked == []
        free = 6 * 1024**3
        await one.engine.pass_time(20)
        assert await one.stored_bytes("job_1") == source.content
        assert one.engine.health["openai"].archive is None


async def test_a_file_too_large_for_the_disk_leaves_room_for_the_others(tmp_path: Path) -> None:
    needed = 5 * 1024**3
    source = SourceFile(video(2 * MIB))
    async with archiving(tmp_path, source, shared=with_space(lambda: needed + MIB)) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert (file.state, file.attempts) == (FileState.WAITING, 1)
        source.content = video(MIB // 2)
        await one.engine.pass_time(10)
        assert (await one.file("job_1")).state is FileState.STORED


async def test_the_object_of_a_job_that_was_deleted_meanwhile_is_queued_for_deletion(
    tmp_path: Path,
) -> None:
    """So it is deleted even if the store does not respond now, or the process dies."""

    class Late(TroubledObjects):
        async def put(
            self, key: str, file: Path, content_type: str, *, disposition: str = ""
        ) -> None:
            await super().put(key, file, content_type, disposition=disposition)
            await one.engine.gateway.jobs.delete(OPERATOR, "job_1")

        async def delete(self, keys: Sequence[str]) -> None:
            raise ObjectStoreError(self.name, "it does not respond")

    objects = Late(tmp_path)
    async with archiving(tmp_path, SourceFile(video(MIB)), objects=objects) as one:
        await one.complete("job_1")
        await until(lambda: one.here.query("SELECT key FROM removed_objects"))
        assert one.here.query("SELECT key FROM removed_objects") == [("videos/job_1.mp4",)]
        assert await one.engine.store.archived_file("job_1") is None
        await one.engine.settled()
        assert spooled(tmp_path) == []
