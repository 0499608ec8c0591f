"""Files that are removed from the archive: by limits, with their jobs, and with projects."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from reelhook.domain.archive import FileState
from reelhook.domain.errors import JobNotFoundError
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.keeping import FileLimits
from reelhook.domain.project import DEFAULT, Project
from reelhook.ports import DataRemoval
from reelhook.storage.operation import Database
from reelhook.storage.operations import archive
from reelhook.storage.store import Store

from .archived import archived
from .conftest import Sql
from .samples import FINISHED, NOW, URL, due_now, moved, new, queued

LATER = NOW + 100 * DAY_MILLISECONDS
SHOP = Project("prj_shop", "shop", NOW)


async def excess(store: Store, limits: FileLimits, now: int = LATER) -> list[tuple[str, str]]:
    return [(one.job_id, one.reason) for one in await store.excess_files(limits, now, 100)]


async def test_without_limits_files_are_kept(store: Store) -> None:
    await archived(store)
    assert await excess(store, FileLimits()) == []


async def test_old_files_are_removed_by_the_age_of_the_archive_or_of_their_project(
    store: Store,
) -> None:
    await store.create_project(replace(SHOP, archive_keep_days=200))
    await archived(store, "old")
    await archived(store, "young", at=LATER - DAY_MILLISECONDS)
    await archived(store, "shops", project="prj_shop")
    why = "it was older than 90 days"
    assert await excess(store, FileLimits(90)) == [("old", why)]
    await store.remove_archived(await store.excess_files(FileLimits(90), LATER, 100), LATER)
    file = await store.archived_file("old")
    assert file is not None
    assert (file.state, file.key, file.error) == (FileState.REMOVED, None, why)
    assert await excess(store, FileLimits(90)) == []
    assert await excess(store, FileLimits(90), NOW + 201 * DAY_MILLISECONDS) == [
        ("young", why),
        ("shops", "it was older than 200 days"),
    ]


async def test_the_oldest_files_are_removed_above_a_size(store: Store) -> None:
    await store.create_project(replace(SHOP, archive_bytes_max=150))
    for number in range(4):
        await archived(store, f"job_{number}", at=NOW + number)
    for number in range(2):
        await archived(store, f"shop_{number}", at=NOW + number, project="prj_shop")
    own = "the archive of its project was larger than 1.39698e-07 GiB"
    all_ = "the archive was larger than 2.79397e-07 GiB"
    assert await excess(store, FileLimits()) == [("shop_0", own)]
    assert await excess(store, FileLimits(bytes_max=300)) == [
        ("shop_0", own),
        ("job_0", all_),
        ("job_1", all_),
    ]
    found = await store.excess_files(FileLimits(math.inf, 300), LATER, 2)
    assert [one.job_id for one in found] == ["shop_0", "job_0"]
    # What age removes counts.
    await store.change_project("default", lambda one: replace(one, archive_keep_days=1), NOW)
    early = NOW + DAY_MILLISECONDS + 2
    assert await excess(store, FileLimits(bytes_max=300), early) == [
        ("job_0", "it was older than 1 days"),
        ("job_1", "it was older than 1 days"),
        ("shop_0", own),
    ]
    assert DEFAULT.archive_keep_days is None


async def test_a_deletion_is_put_off_and_one_that_no_file_names_is_queued(store: Store) -> None:
    key = await archived(store)
    assert await store.delete_job("job_1", NOW)
    await store.delete_later([key, "videos/job_9.mp4"], NOW + 5)
    assert key not in await store.objects_to_delete(NOW + 4, 9)
    assert await store.objects_to_delete(NOW + 5, 9) == [key, "videos/job_9.mp4"]


async def test_a_job_is_kept_while_its_file_is_being_fetched_or_waits_for_the_store(
    store: Store,
) -> None:
    for job_id in ("tried", "untouched"):
        job = await queued(store, new(job_id, urls=()), f"video_{job_id}")
        await moved(store, job.apply(FINISHED, NOW))
    tried = await store.archived_file("tried")
    assert tried is not None
    assert await store.record_file(tried.postponed(LATER + 1))
    await store.remove_jobs((), LATER, LATER)
    assert (await store.job("tried")).job.id == "tried"
    with pytest.raises(JobNotFoundError):  # there is no archive that fetches its file
        await store.job("untouched")


async def test_a_deleted_job_leaves_its_objects_in_the_queue(store: Store) -> None:
    key = await archived(store)
    await store.record_poster("job_1", ("posters/job_1.jpg", 5), None)
    assert await store.delete_job("job_1", NOW)
    assert await store.archived_file("job_1") is None
    assert sorted(await store.objects_to_delete(NOW, 9)) == ["posters/job_1.jpg", key]
    await store.record_deleted([key])
    assert await store.objects_to_delete(NOW, 9) == ["posters/job_1.jpg"]


async def test_a_poster_that_is_being_made_is_deleted_an_hour_later(store: Store) -> None:
    key = await archived(store)
    assert await store.delete_job("job_1", NOW)
    await store.record_poster("job_1", ("posters/job_1.jpg", 5), None)
    assert await store.objects_to_delete(NOW, 9) == [key]
    assert await store.objects_to_delete(NOW + 3_600_000, 9) == [key, "posters/job_1.jpg"]


async def test_an_object_whose_upload_was_not_recorded_is_deleted_with_its_job_or_file(
    store: Store,
) -> None:
    """A process that dies between the two leaves it, and it may still be being written."""
    for number, job_id in enumerate(("deleted", "lost", "old", "stored")):
        job = await queued(store, new(job_id, urls=()), f"video_{job_id}")
        await moved(store, job.apply(FINISHED, NOW + number))
        file = await store.archived_file(job_id)
        assert file is not None
        assert await store.record_file(file.storing(f"videos/{job_id}.mp4"))
        assert await store.record_file(file.failed("HTTP 500", NOW))  # it keeps the key
    assert await store.objects_to_delete(LATER, 9) == []

    assert await store.delete_job("deleted", NOW)
    assert await store.objects_to_delete(NOW, 9) == []
    assert await store.objects_to_delete(NOW + 3_600_000, 9) == ["videos/deleted.mp4"]

    lost, stored = await store.archived_file("lost"), await store.archived_file("stored")
    assert lost is not None
    assert stored is not None
    assert await store.record_file(lost.lost("gone"))
    key = stored.key or ""
    assert await store.record_file(stored.stored(key, 1, "ab", "video/mp4", NOW))
    await store.remove_jobs((), LATER, LATER)
    expected = ["videos/deleted.mp4", "videos/lost.mp4", "videos/old.mp4"]
    assert sorted(await store.objects_to_delete(LATER + 3_600_000, 9)) == expected


async def test_an_object_that_is_stored_again_is_not_deleted(store: Store, sql: Sql) -> None:
    await sql("INSERT INTO removed_objects (key, due_at) VALUES ('videos/job_1.mp4', 0)")
    await archived(store)
    assert await store.objects_to_delete(LATER, 9) == []


async def test_the_files_of_a_closed_project_are_queued_with_its_jobs(store: Store) -> None:
    await store.create_project(SHOP)
    key = await archived(store, project="prj_shop")
    await store.change_project("shop", lambda one: one.closed(NOW, delete_data=True), NOW)
    while await store.remove_project_data("prj_shop", NOW) is DataRemoval.BEGUN:
        pass
    assert await store.archived_file("job_1") is None
    assert key in await store.objects_to_delete(NOW, 9)


@pytest.mark.parametrize("in_archive", [True, False])
async def test_a_job_whose_file_is_kept_loses_its_history_only(
    store: Store, sql: Sql, *, in_archive: bool
) -> None:
    job = await queued(store, new(urls=(URL,)), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    assert len(await due_now(store)) == 1
    file = await store.archived_file("job_1")
    assert file is not None
    if in_archive:
        await store.record_file(file.stored("videos/job_1.mp4", 9, "ab", "video/mp4", NOW))
    removal = await store.remove_jobs((), LATER, LATER)
    assert removal.removed == 1
    left = [(1,)] if in_archive else [(0,)]
    assert await sql("SELECT count(*) FROM jobs") == left
    for table in ("events", "deliveries"):
        assert await sql(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - names of ours
    assert (await store.remove_jobs((), LATER, LATER)).removed == 0
    if in_archive:
        await store.remove_archived(await store.excess_files(FileLimits(1), LATER, 9), LATER)
        assert (await store.remove_jobs((), LATER, LATER)).removed == 1
        assert await store.objects_to_delete(LATER, 9) == ["videos/job_1.mp4"]


async def test_files_are_listed_with_their_jobs_page_by_page(
    store: Store, database: Database
) -> None:
    await store.create_project(SHOP)
    for number in range(3):
        await archived(store, f"job_{number}", project="prj_shop" if number == 1 else "default")
    job = await queued(store, new("job_3", urls=()), "video_3")
    await moved(store, job.apply(FINISHED, NOW))

    async def page(*arguments: Any) -> list[str]:
        found = await database.read(partial(archive.page, *arguments))
        return [file.job_id for file in found]

    assert await page("", 2) == ["job_0", "job_1"]
    assert await page("job_1", 2) == ["job_2"]
    assert await page("", 9, "prj_shop") == ["job_1"]
    assert await page("", 9, None, FileState.WAITING) == ["job_3"]
    assert await page("", 9, None, None) == ["job_0", "job_1", "job_2", "job_3"]
    pairs = await database.read(partial(archive.page_with_jobs, "", 9, "prj_shop"))
    assert [(file.key, stored.job.id) for file, stored in pairs] == [("videos/job_1.mp4", "job_1")]
    assert await database.read(archive.totals) == (3, 300)
