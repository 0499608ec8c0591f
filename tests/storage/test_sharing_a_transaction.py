"""Writes waiting at the same time share a transaction; each has the outcome it has alone."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from reelhook.domain.conflicts import JobIdTakenError
from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import lane_of, url_id
from reelhook.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    StoreError,
)
from reelhook.domain.job import Job
from reelhook.engine.leases import LANE_IDS
from reelhook.ports import ALL_JOBS, Change, Created, Destination, IdempotencyKey, Lease, Settlement
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import FINISHED, NOW, OK, RUNNING, URL, change, new, queued

T = TypeVar("T")
KEY = IdempotencyKey("alice", "once", "fingerprint")


async def at_once(*writes: Awaitable[object]) -> Sequence[object]:
    """Let writes wait together, among others that keep the writer from taking one alone."""
    return await asyncio.gather(*writes, return_exceptions=True)


@pytest.fixture
async def lanes(store: Store) -> list[Lease]:
    """All lanes, held by the test."""
    leases, _ = await store.heartbeat("test", LANE_IDS, 60_000)
    return leases


async def test_of_two_requests_with_one_key_one_is_stored_and_the_other_told_so(
    store: Store,
) -> None:
    writes = [store.create(new(f"job_{n}", key=KEY)) for n in range(3)]
    assert await at_once(*writes) == [
        Created("job_0"),
        Created("job_0", replayed=True),
        Created("job_0", replayed=True),
    ]


async def test_each_request_has_its_own_refusal_and_harms_no_other(store: Store) -> None:
    other_body = replace(KEY, fingerprint="other")
    unknown = replace(new("job_3"), destinations=(Destination("ep_nowhere"),))
    outcomes = await at_once(
        store.create(new("job_1", key=KEY)),
        store.create(new("job_2", key=other_body)),
        store.create(unknown),
        store.create(new("job_1")),
        store.create(new("job_4")),
    )
    assert [outcomes[0], outcomes[4]] == [Created("job_1"), Created("job_4")]
    assert isinstance(outcomes[1], IdempotencyKeyReusedError)
    assert isinstance(outcomes[2], InvalidRequestError)
    assert isinstance(outcomes[3], JobIdTakenError)
    assert sorted(one.job.id for one in (await store.jobs(ALL_JOBS, 10, None)).jobs) == [
        "job_1",
        "job_4",
    ]


async def test_of_two_changes_of_one_version_the_first_is_written(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    others = [await queued(store, new(f"other_{n}"), f"other_{n}") for n in range(3)]
    running, finished = change(job.apply(RUNNING, NOW)), change(job.apply(FINISHED, NOW))
    outcomes = await at_once(
        store.record([running, *(change(one.apply(RUNNING, NOW)) for one in others)], None),
        store.record([finished], None),
    )
    assert outcomes == [["job_1", "other_0", "other_1", "other_2"], []]
    assert await store.record([running, finished], None) == []


async def test_what_the_database_refuses_harms_no_other(store: Store) -> None:
    jobs = [await queued(store, new(f"job_{n}"), f"video_{n}") for n in range(8)]
    changes = [change(job.apply(RUNNING, NOW)) for job in jobs]
    (stranger,) = changes[0].events
    twice = replace(changes[5], events=(replace(stranger, sequence=1),), bodies=(b"{}",))
    changes[5] = twice  # an event's id may be there once
    outcomes = await at_once(*(store.record([one], None) for one in changes))
    assert isinstance(outcomes[5], StoreError)
    assert [one for one in outcomes if not isinstance(one, StoreError)] == [
        [f"job_{n}"] for n in range(8) if n != 5
    ]
    assert (await store.job("job_5")).job == jobs[5]


async def test_events_are_numbered_once_each_and_in_the_order_of_their_job(
    store: Store, sql: Sql
) -> None:
    jobs = [await queued(store, new(f"job_{n}"), f"video_{n}") for n in range(20)]
    await at_once(*(store.record([change(job.apply(RUNNING, NOW))], None) for job in jobs))
    jobs = [(await store.job(job.id)).job for job in jobs]
    await at_once(*(store.record([change(job.apply(FINISHED, NOW))], None) for job in jobs))
    rows = await sql("SELECT position, sequence FROM events ORDER BY position")
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
    page = await store.events_after(None, 100)
    found, more = page.events, page.more
    assert [one.sequence for one in found] == [sequence for _, sequence in rows]
    assert not more
    for job in jobs:
        sequences = [one.sequence for one in found if one.job_id == job.id]
        assert sequences == sorted(sequences)


# -- the cursor of a delivery ----------------------------------------------------------------------


def arrived(delivery_id: int, job_id: str, leases: Sequence[Lease]) -> Settlement:
    """The first event of a job was delivered."""
    attempt = Attempt(delivery_id, f"evt_{job_id}_1", 1, 1, NOW, WebhookResponse(7, OK.status))

    def decide(current: Delivery) -> Delivery:
        return replace(
            current,
            status_sequence=None if current.status_sequence == 1 else current.status_sequence,
            due_at=None if current.status_sequence == 1 else current.due_at,
            delivered_sequence=1,
        )

    return Settlement(attempt, decide, lease=leases[lane_of(url_id(URL))])


async def delivery_of(sql: Sql, job_id: str) -> tuple[int, int | None, int | None, int | None]:
    ((number, status, progress, delivered),) = await sql(
        "SELECT id, status_sequence, progress_sequence, delivered_sequence FROM deliveries"
        " WHERE job_id = ?1",
        job_id,
    )
    return number, status, progress, delivered


@pytest.mark.parametrize("settled_first", [True, False])
async def test_a_new_event_and_the_settling_of_an_older_one_both_take_effect(
    store: Store, sql: Sql, lanes: list[Lease], *, settled_first: bool
) -> None:
    jobs: list[Job] = []
    for n in range(5):
        job = await queued(store, new(f"job_{n}"), f"video_{n}")
        await store.record([change(job.apply(RUNNING, NOW))], None)
        jobs.append((await store.job(job.id)).job)
    numbers = [(await delivery_of(sql, job.id))[0] for job in jobs]
    writes: list[Awaitable[object]] = []
    for number, job in zip(numbers, jobs, strict=True):
        settle = store.settle(arrived(number, job.id, lanes))
        record = store.record([change(job.apply(FINISHED, NOW + 1))], None)
        writes += [settle, record] if settled_first else [record, settle]
    assert not [one for one in await at_once(*writes) if isinstance(one, BaseException)]
    for number, job in zip(numbers, jobs, strict=True):
        found = await delivery_of(sql, job.id)
        last = (await store.job(job.id)).job.sequence
        assert found == (number, last, None, 1)


async def test_two_settlements_of_one_delivery_see_each_other(
    store: Store, sql: Sql, lanes: list[Lease]
) -> None:
    job = await queued(store, new(), "video_1")
    await store.record([change(job.apply(RUNNING, NOW))], None)
    number, *_ = await delivery_of(sql, job.id)
    seen: list[int] = []

    def counting(current: Delivery) -> Delivery:
        seen.append(current.attempts)
        return replace(current, attempts=current.attempts + 1)

    one = replace(arrived(number, job.id, lanes), decide=counting)
    await at_once(*(store.settle(one) for _ in range(4)))
    assert seen[-4:] == [0, 1, 2, 3]


async def test_a_change_without_events_needs_none(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    assert await store.record([Change(replace(job, missing_since=NOW))], None) == ["job_1"]
