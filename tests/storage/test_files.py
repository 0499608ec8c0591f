"""Files of requests: stored before their jobs, once for a project, and removed after the last."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from reelhook.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    StoreError,
)
from reelhook.domain.media import File, reference
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.domain.upload import UploadsFullError
from reelhook.ports import Created, DataRemoval, IdempotencyKey, NewJob, Position, Removal
from reelhook.storage.operations import files as file_operations
from reelhook.storage.operations.files import FilesGoneError
from reelhook.storage.store import Store
from reelhook.storage.storing_files import TRIES, create_with_files

from .conftest import Sql
from .samples import ACCOUNT, CAT, FINISHED, NOW, moved, new, queued, take

FOX = File("image/png", b"\x89PNG\r\n\x1a\n\0fox")
OWL = File("image/jpeg", b"\xff\xd8\xffowl" * 100)
HOUR = 3_600_000
DAY = 24 * HOUR


def with_files(*files: File, request: VideoRequest = CAT) -> VideoRequest:
    first, *others = (reference(file.hash) for file in files)
    return replace(request, image=first, reference_images=tuple(others))


def job_with(job_id: str, *files: File, **more: Any) -> NewJob:
    return replace(new(job_id, request=with_files(*files), **more), files=files)


async def stored_hashes(sql: Sql) -> list[tuple[str, str]]:
    return [
        (row[0], row[1])
        for row in await sql("SELECT project, hash FROM files ORDER BY project, hash")
    ]


async def swept(store: Store, before: int) -> int:
    """Remove all unused files that were stored before that time; return how many."""
    removal = Removal(0, ())
    removed = 0
    while removal.position is not None:
        removal = await store.remove_files(removal.position, before)
        removed += removal.removed
    return removed


async def test_a_file_is_stored_with_its_job_and_read_by_its_hash(store: Store, sql: Sql) -> None:
    await store.create(job_with("job_1", FOX, OWL))
    stored = await store.job("job_1")
    assert stored.request == with_files(FOX, OWL)
    assert await store.files("default", [FOX.hash, OWL.hash, "none"]) == {
        FOX.hash: FOX,
        OWL.hash: OWL,
    }
    rows = await sql("SELECT content_type, size, created_at FROM files WHERE hash = ?1", FOX.hash)
    assert [tuple(row) for row in rows] == [("image/png", len(FOX.body), NOW)]


async def test_equal_files_are_one_row_and_those_of_two_projects_are_two(
    store: Store, sql: Sql
) -> None:
    await store.create(job_with("job_1", FOX))
    await store.create(job_with("job_2", FOX, at=NOW + 5))
    await sql("INSERT INTO projects (id, name, created_at) VALUES ('p2', 'second', 1)")
    await store.create(job_with("job_3", FOX, project="p2"))
    assert await stored_hashes(sql) == [("default", FOX.hash), ("p2", FOX.hash)]
    assert await store.files("p3", [FOX.hash]) == {}
    assert (await sql("SELECT count(*) FROM job_files"))[0][0] == 3


async def test_bytes_of_another_type_are_another_file() -> None:
    assert replace(FOX, content_type="image/webp").hash != FOX.hash


async def test_a_refused_job_leaves_no_file(store: Store, sql: Sql) -> None:
    key = IdempotencyKey("alice", "key-1", "body-1")
    await store.create(job_with("job_1", FOX, key=key))
    with pytest.raises(IdempotencyKeyReusedError):
        await store.create(job_with("job_2", FOX, OWL, key=replace(key, fingerprint="other")))
    assert await stored_hashes(sql) == [("default", FOX.hash)]
    again = await store.create(job_with("job_3", FOX, key=key))
    assert again == Created("job_1", replayed=True)


async def test_a_crash_between_the_file_and_its_job_leaves_a_file_that_is_removed(
    store: Store, sql: Sql
) -> None:
    await store.keep_files("default", [FOX], NOW)  # and the process dies
    await store.create(job_with("job_1", OWL))
    assert await swept(store, NOW) == 0
    assert await swept(store, NOW + 1) == 1
    assert await stored_hashes(sql) == [("default", OWL.hash)]


async def test_a_file_that_is_removed_before_its_job_is_stored_is_stored_again(
    store: Store, sql: Sql
) -> None:
    async def keep(project: str, files: Sequence[File], now: int) -> None:
        await store.keep_files(project, files, now)
        kept.append(now)
        if len(kept) == 1:
            assert await swept(store, NOW + 1) == 1

    kept: list[int] = []
    remove = store.remove_unused_files
    created = await create_with_files(job_with("job_1", FOX), store._create, keep, remove)
    assert created == Created("job_1")
    assert len(kept) == 2
    assert await store.files("default", [FOX.hash]) == {FOX.hash: FOX}

    async def keep_nothing(*_: Any) -> None:
        kept.append(0)

    kept.clear()
    with pytest.raises(StoreError):
        await create_with_files(job_with("job_2", OWL), store._create, keep_nothing, remove)
    assert len(kept) == TRIES
    with pytest.raises(FilesGoneError):
        await store._create(job_with("job_2", OWL))
    assert (await sql("SELECT count(*) FROM jobs"))[0][0] == 1


async def test_an_upload_that_is_gone_is_refused_by_its_field(store: Store, sql: Sql) -> None:
    request = with_files(FOX, OWL)  # the fox came with the request, the owl was an upload
    with pytest.raises(InvalidRequestError) as caught:
        await store.create(replace(new("job_1", request=request), files=(FOX,)))
    assert (caught.value.field, caught.value.code) == ("reference_images.0", "invalid_request")
    assert caught.value.problem is Problem.UNKNOWN_UPLOAD
    assert await stored_hashes(sql) == []


async def test_many_jobs_with_the_same_file_at_once_all_get_it(store: Store, sql: Sql) -> None:
    jobs = [job_with(f"job_{number}", FOX, OWL) for number in range(20)]
    await asyncio.gather(*(store.create(job) for job in jobs), swept(store, NOW + 1))
    assert len(await stored_hashes(sql)) == 2
    assert (await sql("SELECT count(*) FROM job_files"))[0][0] == 40


async def test_an_adopting_job_has_the_files_that_are_still_there(store: Store, sql: Sql) -> None:
    await store.create(job_with("job_1", FOX))
    await store.create(new("job_2", request=with_files(FOX, OWL)))  # its request is a copied one
    rows = await sql("SELECT hash FROM job_files WHERE job_id = 'job_2'")
    assert [row[0] for row in rows] == [FOX.hash]


async def test_the_size_of_waiting_jobs_counts_their_files(store: Store) -> None:
    for number in range(4):
        large = File("image/png", bytes([number]) * 3000)
        await store.create(job_with(f"job_{number}", large, at=NOW + number))
    for bytes_max, count in ((1, 1), (4000, 1), (4100, 2), (12_300, 4), (20_000, 4)):
        due, _ = await store.jobs_to_submit(ACCOUNT, NOW + 9, 9, bytes_max)
        assert [one.job.id for one in due] == [f"job_{number}" for number in range(count)]
        assert 4000 <= due[0].size <= 4100


async def test_a_file_goes_with_its_last_job(store: Store, sql: Sql) -> None:
    for job_id, at in (("job_1", NOW), ("job_2", NOW + DAY)):
        job = await queued(store, job_with(job_id, FOX, at=NOW), f"video_{job_id}")
        await moved(store, job.apply(FINISHED, at))
    for before, left in ((NOW + 1, 1), (NOW + DAY + 1, 0)):
        await store.remove_jobs(Position(), before, before)
        await swept(store, NOW + HOUR)
        assert len(await stored_hashes(sql)) == left


async def test_a_batch_removes_few_bytes(
    store: Store, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_operations, "BYTES_REMOVED", 250)
    for number in range(5):
        file = File("image/png", bytes([number]) * (1000 if number == 3 else 100))
        await store.keep_files("default", [file], NOW)
    left, position = [5], Position()
    while (removal := await store.remove_files(position, NOW + 1)).position is not None:
        position = removal.position
        left.append(len(await stored_hashes(sql)))
    assert max(before - after for before, after in pairwise(left)) <= 2
    assert await stored_hashes(sql) == []


async def test_a_closed_project_loses_its_files(store: Store, sql: Sql) -> None:
    await sql(
        "INSERT INTO projects (id, name, created_at, delete_data, closed_at)"
        " VALUES ('p2', 'second', 1, TRUE, 1)"
    )
    await store.keep_files("p2", [FOX, OWL], NOW)
    await store.keep_files("default", [FOX], NOW)
    while await store.remove_project_data("p2", NOW) is not DataRemoval.DONE:
        pass
    assert await stored_hashes(sql) == [("default", FOX.hash)]


async def test_an_upload_is_kept_for_its_time_and_then_as_long_as_a_job_has_it(
    store: Store, sql: Sql
) -> None:
    await store.keep_upload("default", FOX, NOW, NOW + HOUR, 1000)
    await store.keep_upload("default", FOX, NOW, NOW + DAY, 1000)
    assert await swept(store, NOW + DAY) == 0
    assert await store.hold_uploads("default", [FOX.hash, OWL.hash], NOW + 1) == {
        FOX.hash: "image/png"
    }
    assert await store.hold_uploads("p2", [FOX.hash], NOW + 1) == {}
    with pytest.raises(UploadsFullError):
        await store.keep_upload("default", OWL, NOW, NOW + DAY, len(FOX.body) + len(OWL.body) - 1)
    await store.create(new("job_1", request=with_files(FOX)))
    assert await swept(store, NOW + 2 * DAY) == 0
    await sql("DELETE FROM job_files")
    assert await swept(store, NOW + 2 * DAY) == 1
    assert (await sql("SELECT count(*) FROM uploads"))[0][0] == 0


async def test_a_waiting_job_gets_its_files_once_and_is_submitted_after_that(
    store: Store, sql: Sql
) -> None:
    waiting = replace(CAT, image="https://example.com/fox.png")
    job = new("job_1", request=waiting)
    await store.create(replace(job, job=replace(job.job, unprepared_since=NOW)))
    assert (await store.jobs_to_submit(ACCOUNT, NOW + 9, 9))[0] == []
    assert await store.jobs_to_prepare(ACCOUNT, NOW + 1, 9) == []
    assert await store.jobs_to_prepare(ACCOUNT, NOW, 9) == ["job_1"]
    read = (await store.job("job_1")).job
    request = replace(CAT, image=reference(FOX.hash))
    assert not await store.record_prepared(read.prepared(NOW + 1), request, None)
    await store.keep_files("default", [FOX], NOW)
    (lease,) = await take(store, [f"account:{ACCOUNT}"], "worker_1")
    lost = replace(lease, epoch=lease.epoch - 1)
    assert not await store.record_prepared(read.prepared(NOW + 1), request, lost)
    assert await store.record_prepared(read.prepared(NOW + 1), request, lease)
    assert not await store.record_prepared(read.prepared(NOW + 1), request, None)
    assert await store.jobs_to_prepare(ACCOUNT, 0, 9) == []
    [due], _ = await store.jobs_to_submit(ACCOUNT, NOW + 9, 9)
    assert due.request.image == reference(FOX.hash)
    assert await swept(store, NOW + DAY) == 0
