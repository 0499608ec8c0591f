"""Posters: each stored file gets its poster and facts, and no file can do harm."""

import sys
from pathlib import Path

import pytest
from archive_files import LOOPS, SourceFile, archiving
from archive_files import video as not_a_video

from reelhook.domain.archive import FileState, PosterState
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.engine.archive import disks
from reelhook.engine.archive.local_copy import local_copy
from reelhook.objects.store import ObstoreObjects

sys.path.append(str(Path(__file__).parents[1] / "frames"))
from videos import video

GIB = 1024**3
WITH_POSTERS = LOOPS | {"posters"}


class Objects(ObstoreObjects):
    """A store that refuses posters while `refuses`, and whose files are not of this machine."""

    refuses = False

    async def put_bytes(self, key: str, body: bytes, content_type: str) -> None:
        if self.refuses:
            raise ObjectStoreError(self.name, "access denied")
        await super().put_bytes(key, body, content_type)


class RemoteObjects(ObstoreObjects):
    def local_path(self, key: str) -> Path | None:
        return None


async def test_a_stored_file_gets_a_poster_and_its_facts(tmp_path: Path) -> None:
    source = SourceFile(video())
    async with archiving(tmp_path, source, loops=WITH_POSTERS) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert file.poster_state is PosterState.MADE
        assert (file.width, file.height, file.codec, file.has_audio) == (64, 48, "h264", False)
        assert await one.objects.size("posters/job_1.jpg") == file.poster_size


async def test_a_hostile_file_has_no_poster_and_is_kept_unchanged(tmp_path: Path) -> None:
    source = SourceFile(not_a_video(10_000))
    async with archiving(tmp_path, source, loops=WITH_POSTERS) as one:
        await one.complete("job_1")
        assert (await one.settled_file("job_1")).poster_state is PosterState.NONE
        assert await one.stored_bytes("job_1") == source.content


async def test_a_store_that_refuses_a_poster_is_tried_again(tmp_path: Path) -> None:
    objects = Objects((tmp_path / "archive").as_uri())
    objects.refuses = True
    async with archiving(tmp_path, SourceFile(video()), loops=WITH_POSTERS, objects=objects) as one:
        await one.complete("job_1")
        assert (await one.settled_file("job_1")).poster_state is PosterState.WAITING
        objects.refuses = False
        await one.engine.pass_time(10)
        assert (await one.file("job_1")).poster_state is PosterState.MADE


async def test_a_copy_of_a_remote_object_is_removed(tmp_path: Path) -> None:
    objects = RemoteObjects((tmp_path / "archive").as_uri())
    await objects.put_bytes("videos/job_1.mp4", b"bytes", "video/mp4")
    async with local_copy(objects, "videos/job_1.mp4", tmp_path / "spool") as path:
        assert path.read_bytes() == b"bytes"
    assert list((tmp_path / "spool").iterdir()) == []


async def test_no_copy_of_a_remote_object_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 5 * GIB  # as much as must stay
    monkeypatch.setattr(disks, "disk_usage", lambda _: (free, 100 * GIB))
    objects, source = RemoteObjects((tmp_path / "archive").as_uri()), SourceFile(video())
    async with archiving(tmp_path, source, loops=WITH_POSTERS, objects=objects) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert (file.state, file.poster_state) == (FileState.STORED, PosterState.WAITING)
        [line] = [line for line in one.here.logs if line["event"] == "poster.failed"]
        assert "5.0 GiB are free on the disk of" in line["error"]
        free += GIB
        await one.engine.pass_time(10)
        assert (await one.file("job_1")).poster_state is PosterState.MADE
    assert not list((tmp_path / "spool").glob("copy-*"))
