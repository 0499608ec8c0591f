"""What happened lately, and filters that no index has: each looks at a bounded number of rows."""

import pytest

from reelhook.domain.endpoint import url_id
from reelhook.ports import AttemptTally, JobFilter, JobTally
from reelhook.storage.operations import job_reads
from reelhook.storage.store import Store

from .samples import (
    ACCOUNT,
    CAT,
    FINISHED,
    NOW,
    OK,
    REFUSED,
    URL,
    due_now,
    moved,
    new,
    settled,
    telling,
)

HOUR = 3_600_000


async def test_unfinished_jobs_are_counted_up_to_a_limit(store: Store) -> None:
    for number in range(5):
        await store.create(new(f"job_{number}", at=NOW + number, project="a"))
    counted = await store.unfinished_counts(3)
    assert counted == {"accepted": 3, "submitting": 0, "queued": 0, "processing": 0}
    assert (await store.unfinished_counts(9, "a"))["accepted"] == 5
    assert (await store.unfinished_counts(9, "b"))["accepted"] == 0
    assert await store.oldest_unfinished() == NOW
    assert await store.oldest_unfinished("b") is None


async def test_the_jobs_of_the_last_hours_are_summed(store: Store) -> None:
    await store.create(new("job_1", at=NOW + 1, project="a"))
    await store.create(new("job_2", at=NOW + HOUR))
    await moved(store, (await store.job("job_2")).job.fail("quota", "no money", NOW + HOUR + 1))
    await store.create(new("job_0", at=NOW - 1))
    tallies = await store.job_tallies(NOW, 9)
    assert sorted(tallies, key=lambda one: one.hour) == [
        JobTally(0, "openai", "sora-2", "accepted", "", 1),
        JobTally(1, "openai", "sora-2", "failed", "quota", 1),
    ]
    assert [one.hour for one in await store.job_tallies(NOW, 1)] == [1]
    assert [one.hour for one in await store.job_tallies(NOW, 9, "a")] == [0]


async def test_attempts_and_the_time_until_they_arrived(store: Store) -> None:
    await telling(store, "job_1", URL)
    (due,) = await due_now(store)
    await settled(store, due, REFUSED, at=NOW + 5)
    await settled(store, due, OK, at=NOW + 10)
    tallies = await store.attempt_tallies(NOW - HOUR, 9)
    endpoint = url_id(URL)
    assert sorted(tallies, key=lambda one: one.succeeded) == [
        AttemptTally(1, endpoint, succeeded=False, attempts=1),
        AttemptTally(1, endpoint, succeeded=True, attempts=1),
    ]
    assert len(await store.attempt_tallies(NOW - HOUR, 9, "default")) == 2
    assert await store.attempt_tallies(NOW - HOUR, 9, "other") == []
    (lag,) = await store.webhook_lags(9)
    assert lag.endpoint_id == endpoint
    assert await store.webhook_lags(9, "other") == []
    arrived_at = await store.last_arrival()
    assert arrived_at is not None
    assert await store.last_arrival("default") == arrived_at
    assert await store.last_arrival("other") is None
    assert await store.deliveries_due(9) == 0


async def test_deliveries_that_wait_are_counted(store: Store) -> None:
    for number in range(3):
        await telling(store, f"job_{number}", URL)
    assert await store.deliveries_due(9) == 3
    assert await store.deliveries_due(2) == 2
    assert (await store.deliveries_due(9, "default"), await store.deliveries_due(9, "x")) == (3, 0)


async def test_the_latest_events_and_the_times_of_renders(store: Store) -> None:
    job = await telling(store, "job_1")
    await moved(store, job.apply(FINISHED, NOW + 60_000))
    events = await store.latest_events(9)
    assert [(one.job_id, one.status, one.title) for one in events] == [
        ("job_1", "completed", CAT.title),
        ("job_1", "processing", CAT.title),
    ]
    assert await store.latest_events(9, "other") == []
    (render,) = await store.latest_render_times(9)
    assert render.model == "sora-2"
    assert await store.latest_render_times(9, "other") == []


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (JobFilter(text="CAT in"), "job_b job_a"),
        (JobFilter(text="job_a"), "job_a"),
        (JobFilter(text="c_t"), ""),
        (JobFilter(text="%"), ""),
        (JobFilter(account=ACCOUNT), "job_b job_a"),
        (JobFilter(account="other"), ""),
        (JobFilter(endpoint_id=url_id(URL)), "job_a"),  # in another project it is another one
        (JobFilter(endpoint_id="ep_other"), ""),
        (JobFilter(text="cat", project="a"), "job_b"),
        (JobFilter(text="cat", oldest_first=True), "job_a job_b"),
    ],
)
async def test_a_filter_without_an_index(store: Store, wanted: JobFilter, ids: str) -> None:
    await store.create(new("job_a", at=NOW))
    await store.create(new("job_b", at=NOW + 1, project="a"))
    found = [one.job.id for one in (await store.jobs(wanted, 9, None)).jobs]
    assert found == ids.split()


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_page_looks_at_a_bounded_number_of_jobs_and_the_next_one_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, oldest_first: bool
) -> None:
    monkeypatch.setattr(job_reads, "SCANNED_MAX", 3)
    for number in range(8):
        await store.create(new(f"job_{number}", at=NOW + number))
    wanted = JobFilter(text="job_0" if not oldest_first else "job_7", oldest_first=oldest_first)
    cursor, pages = None, []
    while True:
        page = await store.jobs(wanted, 9, cursor)
        pages.append([one.job.id for one in page.jobs])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [[], [], [wanted.text]]
