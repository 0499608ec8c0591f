"""The view that keeps the inherited columns readable under their names."""

from typing import Any

import pytest

from reelhook.domain.event import iso
from reelhook.domain.job import Status
from reelhook.domain.report import Progress
from reelhook.domain.request import VideoRequest
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ACCOUNT, FAILED, FINISHED, NOW, RUNNING, URL, moved, new, queued, stored

SELECT = """
SELECT job_id, wallet_address, script_body, title, status, error_message, created_at, updated_at,
  sora_job_id, sora_status, sora_progress, webhook_url, last_sora_check, sora_checked_at
FROM video_jobs
"""
COLUMNS = [word.strip(",") for word in SELECT.split()[1:-2]]


async def view(sql: Sql) -> dict[str, Any]:
    """Return the one row, by the inherited names."""
    (row,) = await sql(SELECT)
    return dict(zip(COLUMNS, row, strict=True))


async def test_the_view_has_the_inherited_columns_and_no_others(store: Store, sql: Sql) -> None:
    await store.create(new())
    (row,) = await sql("SELECT * FROM video_jobs")
    assert row == tuple((await view(sql)).values())


async def test_a_job_that_is_not_with_the_provider_yet(store: Store, sql: Sql) -> None:
    request = VideoRequest("x" * 60, door_fields={"wallet_address": "0xabc"})
    await store.create(new(request=request))
    assert await view(sql) == {
        "job_id": "job_1",
        "wallet_address": "0xabc",
        "script_body": "x" * 60,
        "title": "x" * 50,
        "status": "generating",
        "error_message": None,
        "created_at": iso(NOW),
        "updated_at": iso(NOW),
        "sora_job_id": None,
        "sora_status": None,
        "sora_progress": 0,
        "webhook_url": URL,
        "last_sora_check": None,
        "sora_checked_at": None,
    }


async def test_a_job_that_renders(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(RUNNING, NOW + 1007))
    await store.record_round(ACCOUNT, NOW + 6000)
    row = await view(sql)
    assert (row["status"], row["sora_job_id"]) == ("generating", "video_1")
    assert (row["sora_status"], row["sora_progress"]) == ("processing", 40)
    assert row["last_sora_check"] == iso(NOW + 6000)
    assert row["sora_checked_at"] == row["updated_at"] == iso(NOW + 1007)


async def test_the_last_check_is_the_accounts_round_or_the_jobs_own_read(
    store: Store, sql: Sql
) -> None:
    await store.record_round(ACCOUNT, NOW - 1)
    await queued(store, new(), "video_1")
    assert (await view(sql))["last_sora_check"] is None
    for record_at, by_round in ((NOW + 10, False), (NOW + 20, True), (NOW + 30, False)):
        if by_round:
            await store.record_round(ACCOUNT, record_at)
        else:
            await store.record_check("job_1", record_at)
        assert (await view(sql))["last_sora_check"] == iso(record_at)


@pytest.mark.parametrize(
    ("status", "shown", "sora_status", "error"),
    [
        (Status.COMPLETED, "completed", "completed", None),
        (Status.FAILED, "failed", "failed", "Not this prompt"),
        (Status.CANCELED, "failed", "failed", "canceled"),
    ],
)
async def test_a_job_that_has_ended(
    store: Store, sql: Sql, status: Status, shown: str, sora_status: str, error: str | None
) -> None:
    job = await queued(store, new(), "video_1")
    endings = {
        Status.COMPLETED: job.apply(FINISHED, NOW + 9),
        Status.FAILED: job.apply(FAILED, NOW + 9),
        Status.CANCELED: job.cancel(NOW + 9),
    }
    await moved(store, endings[status])
    await store.record_round(ACCOUNT, NOW + 6000)
    row = await view(sql)
    assert (row["status"], row["sora_status"], row["error_message"]) == (shown, sora_status, error)
    assert row["last_sora_check"] == row["sora_checked_at"] == iso(NOW + 9)


async def test_a_job_that_ended_before_the_provider_had_it(store: Store, sql: Sql) -> None:
    job = await stored(store, new())
    await moved(store, job.fail("submission_unknown", "Nobody knows", NOW + 9))
    row = await view(sql)
    assert (row["status"], row["error_message"]) == ("failed", "Nobody knows")
    assert (row["sora_job_id"], row["last_sora_check"], row["sora_checked_at"]) == (None,) * 3


async def test_what_the_view_tells_of_a_check_is_what_the_store_tells(
    store: Store, sql: Sql
) -> None:
    job = await queued(store, new(), "video_1")
    lives = [job, job.apply(Progress(running=True), NOW + 3)[0], job.apply(FINISHED, NOW + 4)[0]]
    for round_at, check_at in ((NOW - 1, None), (NOW + 5, None), (NOW + 5, NOW + 6)):
        await store.record_round(ACCOUNT, round_at)
        await sql("UPDATE jobs SET checked_at = ?1", check_at)
        for life in lives:
            await sql(
                "UPDATE jobs SET status = ?1, updated_at = ?2", life.status.value, life.updated_at
            )
            told = (await store.job("job_1")).checked_at
            assert (await view(sql))["last_sora_check"] == (None if told is None else iso(told))


@pytest.mark.parametrize("instant", [0, 1, 999, NOW + 1, NOW + 499, NOW + 999, 4_102_444_799_999])
async def test_times_are_those_of_the_webhooks(store: Store, sql: Sql, instant: int) -> None:
    await store.create(new(at=instant))
    assert (await view(sql))["created_at"] == iso(instant)
