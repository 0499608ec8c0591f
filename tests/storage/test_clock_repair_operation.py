"""Times that no correct clock could have chosen are repaired; others are not."""

from dataclasses import replace

import pytest

from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import EventName
from reelhook.ports.clock_repair import LongestWaits
from reelhook.storage.store import Store

from .budgets import limited, limits, priced, usd
from .conftest import Sql
from .samples import (
    ACCOUNT,
    ENDPOINT,
    FINISHED,
    NOW,
    REFUSED,
    due_now,
    moved,
    new,
    queued,
    settled,
    stored,
    telling,
)

SECOND, HOUR = 1000, 3_600_000
LONGEST = LongestWaits(
    retries=(0, 6000, 36_000),
    retry_after=24 * HOUR,
    probe=300_000,
    submit=20_000,
    file=600_000,
    check=24 * HOUR,
)


async def waits(store: Store, sql: Sql) -> int:
    """Return how long the delivery that failed once waits from now on."""
    [(due_at,)] = await sql("SELECT due_at FROM deliveries")
    return int(due_at) - NOW


@pytest.mark.parametrize(("back", "due_in"), [(0, None), (HOUR, 0), (400 * 24 * HOUR, 0)])
async def test_a_retry_is_due_where_no_wait_is_so_long(
    store: Store, sql: Sql, back: int, due_in: int | None
) -> None:
    await telling(store, "job_1", "https://h.example/hook")
    [due] = await due_now(store)
    await settled(store, due, REFUSED, at=NOW + back)
    before = await waits(store, sql)
    await store.repair_due_times(NOW, LONGEST)
    assert await waits(store, sql) == (before if due_in is None else due_in)
    assert len(await due_now(store, NOW)) == (due_in == 0)


async def test_what_the_receiver_asked_for_holds_for_a_day(store: Store, sql: Sql) -> None:
    await telling(store, "job_1", "https://h.example/hook")
    [due] = await due_now(store)
    asked = replace(REFUSED, retry_after_seconds=23 * 3600)
    assert isinstance(asked, WebhookResponse)
    await settled(store, due, asked, at=NOW)
    before = await waits(store, sql)
    await store.repair_due_times(NOW, LONGEST)
    assert await waits(store, sql) == before > 22 * HOUR
    await store.repair_due_times(NOW - 2 * HOUR, LONGEST)
    assert await waits(store, sql) == -2 * HOUR


@pytest.mark.parametrize(("ahead", "repaired"), [(23 * HOUR, False), (25 * HOUR, True)])
async def test_a_notice_is_due_that_waits_longer_than_a_receiver_may_ask(
    store: Store, ahead: int, repaired: bool
) -> None:
    events = frozenset({EventName.BUDGET_WARNING})
    await store.create_endpoint(replace(ENDPOINT, events=events))
    await limited(store, limits(day=1))
    await store.create(priced("job_1", usd(0.9)))
    (notice,) = await store.due_notices(NOW, 9)
    await store.record_notice(notice, 1, NOW + ahead, None)
    await store.repair_due_times(NOW, LONGEST)
    assert await store.next_notice_at() == (NOW if repaired else NOW + ahead)


async def test_a_job_that_waits_to_be_created_is_due(store: Store, sql: Sql) -> None:
    soon = await stored(store, new("soon"))
    late = await stored(store, new("late"))
    await sql("UPDATE jobs SET submit_due_at = ?1 WHERE id = 'soon'", NOW + 19 * SECOND)
    await sql("UPDATE jobs SET submit_due_at = ?1 WHERE id = 'late'", NOW + HOUR)
    await store.repair_due_times(NOW, LONGEST)
    by_id = {job.id: job for job in await store.jobs_now(["soon", "late"])}
    assert by_id["soon"].submit_due_at == NOW + 19 * SECOND
    assert by_id["soon"].version == soon.version
    assert by_id["late"].submit_due_at == NOW
    assert by_id["late"].version == late.version + 1


async def test_a_probe_is_due(store: Store, sql: Sql) -> None:
    await telling(store, "job_1", "https://h.example/hook")
    await sql("UPDATE endpoints SET probe_due_at = ?1, next_at = ?1", NOW + HOUR)
    await store.repair_due_times(NOW, LONGEST)
    assert await sql("SELECT probe_due_at, next_at FROM endpoints") == [(NOW, 0)]


@pytest.mark.parametrize(("back", "repaired"), [(0, False), (400 * 24 * HOUR, True)])
async def test_a_paid_video_is_fetched_or_looked_at_once_more(
    store: Store, sql: Sql, back: int, repaired: bool
) -> None:
    job = await queued(store, new("done"), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    file = await store.archived_file("done")
    assert file is not None
    assert await store.record_file(file.postponed(NOW + 5 * SECOND + back))
    job = await queued(store, new("given up"), "video_2")
    await moved(store, job.fail("expired", "It took too long", NOW + back))
    await store.repair_due_times(NOW, LONGEST)
    assert bool(await store.files_to_archive(ACCOUNT, NOW, 9)) == repaired
    assert bool(await store.late_checks(ACCOUNT, NOW, 9)) == repaired
