from dataclasses import replace

import pytest

from reelhook.domain.errors import StoreError
from reelhook.domain.event import EventKind
from reelhook.domain.job import Status
from reelhook.domain.report import Progress
from reelhook.ports import StoredEvent
from reelhook.storage.operations import job_writes
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ACCOUNT,
    FAILED,
    FINISHED,
    NOW,
    RUNNING,
    change,
    moved,
    new,
    queued,
    stored,
    take,
)
from .test_creating import FULL_JOB, FULL_REQUEST


async def test_a_change_is_read_as_it_was_recorded(store: Store) -> None:
    await store.create(replace(new("job_full"), request=FULL_REQUEST))
    first = (await store.job("job_full")).job
    kept = {name: getattr(first, name) for name in job_writes._NEVER_CHANGED}
    full = replace(FULL_JOB, account="a sibling", version=0, **kept)
    assert await store.record([change((full, ()))], None) == ["job_full"]
    read = await store.job("job_full")
    assert read.job == replace(full, version=1)
    assert read.request == FULL_REQUEST


async def test_every_recorded_change_raises_the_version(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    after = await moved(store, job.apply(RUNNING, NOW))
    assert after.version == job.version + 1


async def test_events_are_kept_in_order_with_the_bytes_of_their_bodies(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    running, first = job.apply(RUNNING, NOW + 1)
    finished, second = running.apply(FINISHED, NOW + 2)
    told = change((finished, (*first, *second)))
    assert await store.record([told], None) == ["job_1"]
    assert await store.events(["job_1"], {}) == [
        StoredEvent(first[0].id, "job_1", 1, told.bodies[0]),
        StoredEvent(second[0].id, "job_1", 2, told.bodies[1]),
    ]
    assert [one.sequence for one in await store.events(["job_1"], {"job_1": 1})] == [2]


async def test_events_of_several_jobs_are_read_behind_the_cursor_of_each(store: Store) -> None:
    for name in ("a", "b", "c"):
        job = await queued(store, new(f"job_{name}"), f"video_{name}")
        job = await moved(store, job.apply(RUNNING, NOW))
        await moved(store, job.apply(FINISHED, NOW))
    read = await store.events(["job_b", "job_none", "job_a"], {"job_b": 1, "job_c": 0})
    assert [(one.job_id, one.sequence) for one in read] == [
        ("job_b", 2),
        ("job_a", 1),
        ("job_a", 2),
    ]


# -- the version is a fence ------------------------------------------------------------------------


async def test_of_two_changes_of_one_reading_the_second_changes_nothing(
    store: Store, sql: Sql
) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(RUNNING, NOW + 1))
    late = change(job.apply(FAILED, NOW + 2))
    assert await store.record([late], None) == []
    assert (await store.job("job_1")).job.status is Status.PROCESSING
    assert await sql("SELECT kind FROM events") == [("status",)]


async def test_a_change_that_is_passed_over_does_not_hold_up_the_others(store: Store) -> None:
    jobs = [await queued(store, new(f"job_{n}"), f"video_{n}") for n in range(3)]
    await moved(store, jobs[1].apply(RUNNING, NOW))
    changes = [change(job.apply(FINISHED, NOW)) for job in jobs]
    assert await store.record(changes, None) == ["job_0", "job_2"]


async def test_a_job_that_does_not_exist_is_passed_over(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    assert await store.record([change(replace(job, id="job_2").apply(RUNNING, NOW))], None) == []


async def test_all_changes_of_one_call_stand_or_fall_together(store: Store, sql: Sql) -> None:
    jobs = [await queued(store, new(f"job_{n}"), f"video_{n}") for n in range(2)]
    good = change(jobs[0].apply(RUNNING, NOW))
    bad = replace(change(jobs[1].apply(RUNNING, NOW)), bodies=())
    with pytest.raises(ValueError, match="shorter"):
        await store.record([good, bad], None)
    assert [(await store.job(job.id)).job for job in jobs] == jobs
    assert await sql("SELECT * FROM events") == []


# -- the epoch is a fence --------------------------------------------------------------------------


async def test_the_holder_of_a_lease_records(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    (lease,) = await take(store, ["account:acme"], "one")
    assert await store.record([change(job.apply(RUNNING, NOW))], lease) == ["job_1"]


async def test_whoever_lost_the_lease_changes_nothing(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    (lost,) = await take(store, ["account:acme"], "one")
    (held,) = await take(store, ["account:acme"], "two")
    told = change(job.apply(RUNNING, NOW))
    for lease in (lost, replace(held, epoch=held.epoch + 1), replace(held, id="account:none")):
        assert await store.record([told], lease) == []
    assert (await store.job("job_1")).job == job
    assert await sql("SELECT * FROM events") == []
    assert await store.record([told], held) == ["job_1"]


# -- a job ends once -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELED])
async def test_a_terminal_status_is_never_left_even_by_a_writer_that_read_it(
    store: Store, status: Status
) -> None:
    job = await queued(store, new(), "video_1")
    ended = await moved(store, (replace(job, status=status), ()))
    for other in Status:
        assert await store.record([change((replace(ended, status=other), ()))], None) == []
    assert (await store.job("job_1")).job == ended


async def test_the_database_itself_refuses_a_second_terminal_event(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    insert = (
        "INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body)"
        " VALUES (?1, 'job_1', ?2, ?3, 'failed', 0, 0, ?4)"
    )
    with pytest.raises(StoreError):
        await sql(insert, "evt_x", 2, "terminal", b"{}")
    await sql(insert, "evt_y", 2, "progress", b"{}")  # so it was the kind that stood against it


async def test_the_database_itself_refuses_a_sequence_twice(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(RUNNING, NOW))
    with pytest.raises(StoreError):
        await sql(
            "INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body)"
            " VALUES ('evt_x', 'job_1', 1, 'progress', 'failed', 0, 0, ?1)",
            b"{}",
        )


async def test_of_racing_endings_one_is_told(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    endings = [job.apply(FINISHED, NOW), job.apply(FAILED, NOW), job.cancel(NOW)]
    written = [await store.record([change(ending)], None) for ending in endings]
    assert written == [["job_1"], [], []]
    assert await sql("SELECT status FROM events WHERE kind = 'terminal'") == [("completed",)]


# -- events reach every delivery -------------------------------------------------------------------


async def test_state_event_and_cursors_are_written_together(store: Store, sql: Sql) -> None:
    urls = ("https://h.example/hook", "https://i.example/hook")
    job = await queued(store, new(urls=urls), "video_1")
    other = await stored(store, new("job_2"))
    await moved(store, job.apply(RUNNING, NOW + 5))
    cursors = (
        "SELECT job_id, status_sequence, progress_sequence, due_at FROM deliveries ORDER BY id"
    )
    assert await sql(cursors) == [
        ("job_1", 1, None, NOW + 5),
        ("job_1", 1, None, NOW + 5),
        (other.id, None, None, None),
    ]


async def test_an_event_waits_as_its_kind_demands(store: Store, sql: Sql) -> None:
    job = await queued(store, new(), "video_1")
    cursors = "SELECT status_sequence, progress_sequence FROM deliveries"
    job = await moved(store, job.apply(RUNNING, NOW))
    job = await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    assert await sql(cursors) == [(1, 2)]
    job = await moved(store, job.apply(Progress(running=True, percent=60), NOW))
    assert await sql(cursors) == [(1, 3)]
    await moved(store, job.apply(FINISHED, NOW))
    assert await sql(cursors) == [(4, None)]
    kinds = await sql("SELECT kind FROM events ORDER BY sequence")
    assert [EventKind(kind) for (kind,) in kinds] == [
        EventKind.STATUS,
        EventKind.PROGRESS,
        EventKind.PROGRESS,
        EventKind.TERMINAL,
    ]


async def test_nothing_to_record_writes_nothing(store: Store) -> None:
    assert await store.record([], None) == []
    assert await store.jobs_to_watch(ACCOUNT) == []
