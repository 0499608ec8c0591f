from dataclasses import replace

import pytest

from reelhook.domain.delivery import Answer, Delivery
from reelhook.domain.job import Job
from reelhook.domain.report import Progress
from reelhook.ports import DueDeliveries
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    FINISHED,
    GONE,
    NOW,
    OK,
    REFUSED,
    RUNNING,
    attempt,
    moved,
    new,
    queued,
)

QUIET = "https://quiet.example/hook"
LOUD = "https://loud.example/hook"


async def telling(store: Store, job_id: str, *urls: str, at: int = NOW) -> Job:
    """Store a job whose first event is due `at` at each of the URLs."""
    job = await queued(store, new(job_id, urls=urls), f"video_{job_id}")
    return await moved(store, job.apply(RUNNING, at))


async def look(
    store: Store,
    now: int = NOW,
    *,
    per_endpoint: int = 10,
    limit: int = 100,
    busy: frozenset[str] = frozenset(),
) -> DueDeliveries:
    return await store.due_deliveries(now, per_endpoint=per_endpoint, limit=limit, busy=busy)


def jobs(due: DueDeliveries) -> list[str]:
    return [one.delivery.job_id for one in due.deliveries]


# -- what is due -----------------------------------------------------------------------------------


async def test_nothing_is_due_at_first(store: Store) -> None:
    await queued(store, new(), "video_1")
    assert await look(store) == DueDeliveries((), None)
    assert await store.deliveries_waiting() == 0


async def test_a_due_delivery_comes_with_its_next_event_and_the_bytes_to_send(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = (await look(store)).deliveries
    (event,) = await store.events(["job_1"], {})
    assert due.event == event
    assert (due.delivery.url, due.delivery.endpoint_id) == (QUIET, "https://quiet.example:443/hook")
    assert (due.delivery.next_sequence, due.delivery.attempts, due.delivery.due_at) == (1, 0, NOW)
    assert due.delivery.trusted is False
    assert await store.deliveries_waiting() == 1


async def test_the_change_of_status_comes_before_the_progress_that_waits_behind_it(
    store: Store,
) -> None:
    job = await telling(store, "job_1", QUIET)
    await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    (due,) = (await look(store)).deliveries
    assert (due.event.sequence, due.delivery.progress_sequence) == (1, 2)


async def test_progress_alone_is_due_as_well(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(Progress(running=False, percent=50), NOW))
    (due,) = (await look(store)).deliveries
    assert (due.event.sequence, due.delivery.status_sequence) == (1, None)


async def test_what_is_due_later_is_told_by_its_time_alone(store: Store) -> None:
    await telling(store, "job_1", QUIET, at=NOW + 50)
    await telling(store, "job_2", LOUD, at=NOW + 40)
    assert await look(store, NOW) == DueDeliveries((), NOW + 40)
    at_last = await look(store, NOW + 50)
    assert sorted(jobs(at_last)) == ["job_1", "job_2"]
    assert at_last.next_due_at is None


async def test_an_endpoint_gives_its_oldest_first_and_so_many_at_most(store: Store) -> None:
    for number in (3, 1, 4, 2):
        await telling(store, f"job_{number}", QUIET, at=NOW + number)
    assert jobs(await look(store, NOW + 9, per_endpoint=3)) == ["job_1", "job_2", "job_3"]


async def test_a_look_returns_no_more_than_its_limit(store: Store) -> None:
    for number in range(6):
        await telling(store, f"job_{number}", f"https://h{number % 3}.example/")
    assert len((await look(store, limit=5)).deliveries) == 5


async def test_deliveries_that_differ_in_their_query_share_an_endpoint(store: Store) -> None:
    await telling(store, "job_1", QUIET + "?job=1", QUIET + "?job=2", LOUD)
    assert len((await look(store, per_endpoint=1)).deliveries) == 2


async def test_thousands_waiting_at_one_endpoint_hide_no_other(store: Store) -> None:
    await telling(store, "loud", *(f"{LOUD}?n={number}" for number in range(3000)))
    names = [f"https://h{number}.example/" for number in range(40)]
    await telling(store, "quiet", *names)
    due = await look(store, per_endpoint=4, limit=200)
    assert jobs(due).count("loud") == 4
    assert {one.delivery.url for one in due.deliveries} >= set(names)
    assert await store.deliveries_waiting() == 3040


async def test_busy_endpoints_are_passed_over(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    await telling(store, "job_2", LOUD)
    busy = frozenset({"https://loud.example:443/hook"})
    assert jobs(await look(store, busy=busy)) == ["job_1"]


async def test_a_retry_behind_what_is_due_at_its_endpoint_is_told_by_its_time(store: Store) -> None:
    await telling(store, "hanging", QUIET, at=NOW)
    await telling(store, "retry", QUIET, at=NOW + 5000)
    await telling(store, "later", LOUD, at=NOW + 9000)
    due = await look(store)
    assert (jobs(due), due.next_due_at) == (["hanging"], NOW + 5000)
    due = await look(store, busy=frozenset({"https://quiet.example:443/hook"}))
    assert (jobs(due), due.next_due_at) == ([], NOW + 5000)


# -- settling --------------------------------------------------------------------------------------


async def test_an_attempt_is_recorded_with_the_moved_cursor(store: Store, sql: Sql) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = (await look(store)).deliveries
    answer = Answer(
        duration_ms=12,
        status=503,
        error="http_status",
        detail="Service Unavailable",
        body="down",
        retry_after_seconds=9,
    )
    after = replace(due.delivery, attempts=3, due_at=NOW + 9000)
    moved_to = await store.settle(attempt(due, answer, number=3), lambda _: after)
    assert moved_to == after
    assert await sql(
        "SELECT delivery_id, event_id, sequence, number, started_at FROM attempts"
    ) == [(due.delivery.id, "evt_job_1_1", 1, 3, NOW + 5)]
    assert await sql("SELECT duration_ms, http_status, error, detail, answer FROM attempts") == [
        (12, 503, "http_status", "Service Unavailable", "down")
    ]
    assert (await look(store)).next_due_at == NOW + 9000


async def test_the_cursor_is_decided_on_what_the_store_holds_by_then(store: Store) -> None:
    job = await telling(store, "job_1", QUIET)
    (due,) = (await look(store)).deliveries
    await moved(store, job.apply(FINISHED, NOW + 1))
    seen: list[Delivery] = []

    def decide(current: Delivery) -> Delivery:
        seen.append(current)
        return current

    await store.settle(attempt(due, OK), decide)
    assert [one.next_sequence for one in seen] == [2]


async def test_an_attempt_of_a_superseded_event_is_recorded_and_moves_nothing(
    store: Store, sql: Sql
) -> None:
    job = await telling(store, "job_1", QUIET)
    (due,) = (await look(store)).deliveries
    await moved(store, job.apply(FINISHED, NOW + 1))
    await store.settle(attempt(due, REFUSED), lambda current: current)
    assert await sql("SELECT sequence, http_status FROM attempts") == [(1, 500)]
    (due,) = (await look(store, NOW + 1)).deliveries
    assert (due.event.sequence, due.delivery.attempts) == (2, 0)


async def test_a_delivery_that_ended_is_never_due_again(store: Store) -> None:
    job = await telling(store, "job_1", QUIET, LOUD)
    first, second = (await look(store)).deliveries
    gone = replace(first.delivery, status_sequence=None, due_at=None, ended=True)
    assert await store.settle(attempt(first, GONE), lambda _: gone) == gone
    await moved(store, job.apply(FINISHED, NOW))
    (due,) = (await look(store)).deliveries
    assert (due.delivery.id, due.event.sequence) == (second.delivery.id, 2)


async def test_a_decision_that_fails_records_nothing(store: Store, sql: Sql) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = (await look(store)).deliveries

    def decide(_: Delivery) -> Delivery:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await store.settle(attempt(due, OK), decide)
    assert await sql("SELECT * FROM attempts") == []
    assert (await look(store)).deliveries == (due,)
