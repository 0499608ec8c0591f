"""Files to archive: their order, their times, and jobs whose completion came without one."""

from dataclasses import replace

from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ACCOUNT, FINISHED, NOW, moved, new, queued

HOUR = 3600 * 1000


async def completed(store: Store, job_id: str) -> None:
    job = await queued(store, new(job_id, urls=()), f"video_of_{job_id}")
    await moved(store, job.apply(FINISHED, NOW))


async def test_the_soonest_to_expire_comes_first_and_late_files_last(
    store: Store, sql: Sql
) -> None:
    for job_id in ("late", "unknown", "soon", "sooner", "waits"):
        await completed(store, job_id)
    await sql("UPDATE archive SET late = TRUE WHERE job_id = 'late'")
    for job_id, expires_at in (("soon", NOW + 2 * HOUR), ("sooner", NOW + HOUR), ("late", NOW)):
        await sql(f"UPDATE archive SET expires_at = {expires_at} WHERE job_id = '{job_id}'")  # noqa: S608 - the test's own values
    await sql(f"UPDATE archive SET expires_at = {2**62} WHERE job_id = 'unknown'")  # noqa: S608
    await sql(f"UPDATE archive SET due_at = {NOW + HOUR} WHERE job_id = 'waits'")  # noqa: S608
    due = await store.files_to_archive(ACCOUNT, NOW, 10)
    assert [file.job_id for file in due] == ["sooner", "soon", "unknown", "late"]
    assert due[2].expires_at is None
    assert await store.next_archiving_at(ACCOUNT, NOW) == NOW + HOUR
    assert await store.next_archiving_at(ACCOUNT, NOW + HOUR) is None
    assert await store.files_to_archive("another", NOW, 10) == []


async def test_files_that_have_expired_keep_no_other_ones_waiting(store: Store, sql: Sql) -> None:
    expiries = {"gone": -HOUR, "kept": 0, "soon": HOUR, "late_gone": -HOUR, "late_soon": HOUR}
    for job_id, expires_in in expiries.items():
        await completed(store, job_id)
        late = "TRUE" if job_id.startswith("late") else "FALSE"
        await sql(
            f"UPDATE archive SET expires_at = {NOW + expires_in}, late = {late}"  # noqa: S608 - the test's own values
            f" WHERE job_id = '{job_id}'"
        )
    await sql(f"UPDATE archive SET expires_at = {2**62} WHERE job_id = 'kept'")  # noqa: S608
    order = ["soon", "kept", "gone", "late_soon", "late_gone"]
    for limit in range(1, 6):
        due = await store.files_to_archive(ACCOUNT, NOW, limit)
        assert [file.job_id for file in due] == order[:limit]


async def test_a_file_is_recorded_once(store: Store) -> None:
    await completed(store, "job_1")
    (file,) = await store.files_to_archive(ACCOUNT, NOW, 10)
    stored = file.stored("videos/job_1.mp4", 7, "a" * 64, "video/mp4", NOW)
    assert await store.record_file(stored)
    assert not await store.record_file(replace(stored, size=8))
    assert await store.archived_file("job_1") == stored
