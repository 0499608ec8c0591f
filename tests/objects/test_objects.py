"""Objects: what is put comes out again, from a folder and from a bucket."""

import os
from pathlib import Path
from random import Random

import pytest
from refusing_s3 import refusing_s3

from reelhook.domain.archive_errors import ObjectMissingError, ObjectStoreError
from reelhook.objects.store import PART_BYTES, ObstoreObjects


@pytest.mark.parametrize("size", [1, 1000, 2 * PART_BYTES + 5])
async def test_a_file_comes_out_as_it_was_put(
    objects: ObstoreObjects, tmp_path: Path, size: int
) -> None:
    content, file = Random(1).randbytes(size), tmp_path / "file"
    file.write_bytes(content)
    await objects.put("videos/job_1.mp4", file, "video/mp4")
    assert await objects.size("videos/job_1.mp4") == size
    async with objects.open("videos/job_1.mp4") as found:
        assert found.size == size
        assert b"".join([chunk async for chunk in found.chunks]) == content
    assert [one.key async for one in objects.list("videos")] == ["videos/job_1.mp4"]


async def test_a_range_of_an_object_is_read(objects: ObstoreObjects) -> None:
    await objects.put_bytes("a", b"0123456789", "text/plain")
    async with objects.open("a", 2, 5) as found:
        assert b"".join([chunk async for chunk in found.chunks]) == b"234"
    async with objects.open("a", 8) as found:
        assert b"".join([chunk async for chunk in found.chunks]) == b"89"


async def test_what_killed_uploads_left_in_a_folder_is_removed_a_day_later(
    tmp_path: Path,
) -> None:
    objects, videos = ObstoreObjects(tmp_path.as_uri()), tmp_path / "videos"
    await objects.put_bytes("videos/job_1.mp4", b"whole", "video/mp4")
    for name in ("job_1.mp4#1", "job_2.webm#12", "notes #1", "job_3.mp4#1"):
        (videos / name).write_bytes(b"half")
        if name != "job_3.mp4#1":  # that upload may still be running
            os.utime(videos / name, (0, 0))
    assert [one.key async for one in objects.list()] == ["videos/job_1.mp4"]
    assert objects.remove_unfinished(3600) == 2
    left = sorted(path.name for path in videos.iterdir())
    assert left == ["job_1.mp4", "job_3.mp4#1", "notes #1"]


async def test_a_missing_object_has_no_size_and_can_be_deleted(objects: ObstoreObjects) -> None:
    assert await objects.size("nothing") is None
    await objects.delete(["nothing"])
    with pytest.raises(ObjectMissingError):
        async with objects.open("nothing"):
            pass


async def test_a_working_store_passes_the_check_and_keeps_nothing_of_it(
    objects: ObstoreObjects,
) -> None:
    await objects.check()
    assert [one async for one in objects.list()] == []


@pytest.mark.parametrize(
    ("method", "step"), [("PUT", "write"), ("GET", "read"), ("POST", "delete")]
)
async def test_the_check_names_the_permission_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, method: str, step: str
) -> None:
    async with refusing_s3(monkeypatch, lambda request: request.method == method):
        with pytest.raises(ObjectStoreError) as caught:
            await ObstoreObjects("s3://videos").check()
    assert (caught.value.step, caught.value.refused) == (step, True)
    assert "secret" not in caught.value.message


async def test_a_bucket_that_does_not_exist_is_refused_by_the_check(s3: str) -> None:
    with pytest.raises(ObjectStoreError) as caught:
        await ObstoreObjects("s3://no-such-bucket").check()
    assert caught.value.refused


async def test_a_store_that_cannot_be_reached_is_not_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with refusing_s3(monkeypatch, lambda _: False):
        objects = ObstoreObjects("s3://videos")
    with pytest.raises(ObjectStoreError) as caught:
        await objects.check()
    assert not caught.value.refused


async def test_a_password_in_the_address_of_a_store_is_in_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with refusing_s3(monkeypatch, lambda _: False):
        address = os.environ["AWS_ENDPOINT_URL"].replace("//", "//me:hunter2@")
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        objects = ObstoreObjects("s3://videos")
    with pytest.raises(ObjectStoreError) as caught:
        await objects.check()
    assert "//...@127.0.0.1" in caught.value.message
    assert "hunter2" not in repr((caught.value.message, caught.value.facts))


async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ObjectStoreError):
        ObstoreObjects((tmp_path / "file" / "archive").as_uri())
