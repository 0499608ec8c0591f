from dataclasses import replace

import pytest

from reelhook.domain.endpoint import url_id
from reelhook.domain.errors import DeliveryNotFoundError, InvalidRequestError
from reelhook.domain.event import job_id_of
from reelhook.domain.report import Progress
from reelhook.ports import DELIVERY_STATES, DeliveryFilter
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    GONE,
    NOW,
    OK,
    REFUSED,
    RUNNING,
    URL,
    attempt,
    due_now,
    exhausted,
    moved,
    new,
    queued,
    settled,
    stored,
    telling,
)

OTHER = "https://other.example/hook"

# -- the feed of events ----------------------------------------------------------------------------


async def fed(store: Store, after: str | None = None, limit: int = 100) -> tuple[list[str], bool]:
    page = await store.events_after(after, limit)
    assert not page.restarted
    return [one.event_id for one in page.events], page.more


async def test_events_of_all_jobs_are_read_in_the_order_of_their_writing(store: Store) -> None:
    assert await fed(store) == ([], False)
    first = await telling(store, "job_b", at=NOW + 9)
    second = await telling(store, "job_a", at=NOW)  # its clock was behind
    await moved(store, first.apply(FINISHED, NOW + 5))
    await moved(store, second.apply(FINISHED, NOW + 20))
    page = await store.events_after(None, 10)
    assert [(one.job_id, one.sequence) for one in page.events] == [
        *(("job_b", 1), ("job_a", 1), ("job_b", 2), ("job_a", 2)),
    ]
    assert not page.more


async def test_the_feed_is_read_on_from_any_event(store: Store) -> None:
    for number in range(5):
        await telling(store, f"job_{number}")
    read: list[str] = []
    more = True
    while more:
        page, more = await fed(store, read[-1] if read else None, limit=2)
        read += page
    assert [job_id_of(one) for one in read] == [f"job_{number}" for number in range(5)]
    assert await fed(store, read[-1]) == ([], False)
    assert await fed(store, read[2], limit=2) == (read[3:], False)


async def test_whoever_read_to_the_end_gets_what_comes_then(store: Store) -> None:
    job = await telling(store, "job_1")
    [first], _ = await fed(store)
    assert await fed(store, first) == ([], False)
    finished = job.apply(FINISHED, NOW)
    await moved(store, finished)
    assert await fed(store, first) == ([finished[1][0].id], False)


async def test_an_event_that_there_is_not_is_no_cursor(store: Store) -> None:
    for text in ("", "evt_nobody", "job_1", "evt_job_1_0", "evt__1"):
        with pytest.raises(
            InvalidRequestError, match="after must be the id of an event"
        ) as refused:
            await store.events_after(text, 10)
        assert refused.value.field == "after"


async def test_behind_an_event_that_is_no_longer_kept_come_all_that_are(
    store: Store, sql: Sql
) -> None:
    for name in ("job_1", "job_2", "job_3"):
        await telling(store, name)
    await sql("DELETE FROM events WHERE job_id IN ('job_1', 'job_2')")
    page = await store.events_after("evt_job_1_1", 10)
    assert ([one.job_id for one in page.events], page.restarted) == (["job_3"], True)
    last = page.events[0].event_id
    assert await fed(store, last) == ([], False)
    await sql("DELETE FROM events")
    empty = await store.events_after(last, 10)
    assert (empty.events, empty.more, empty.restarted) == ([], False, True)


# -- deliveries ------------------------------------------------------------------------------------


async def listed(
    store: Store, limit: int = 100, cursor: int | None = None, **wanted: str | None
) -> list[str]:
    page = await store.deliveries(DeliveryFilter(**wanted), limit, cursor)
    return [one.delivery.job_id for one in page.deliveries]


async def one_of_each(store: Store) -> None:
    """Store a delivery in every state, named after it; oldest first."""
    await stored(store, new("silent"))
    for name in ("waiting", "delivered", "failed", "ended", "arrived_before"):
        await telling(store, name, URL)
    due = {one.delivery.job_id: one for one in await due_now(store)}
    await settled(store, due["delivered"], OK)
    await exhausted(store, due["failed"])
    await settled(store, due["ended"], GONE)
    await settled(store, due["arrived_before"], OK)
    job = (await store.job("arrived_before")).job
    await moved(store, job.apply(FINISHED, NOW))  # so it waits again


async def test_deliveries_are_listed_newest_first(store: Store) -> None:
    await one_of_each(store)
    names = ["arrived_before", "ended", "failed", "delivered", "waiting", "silent"]
    assert await listed(store) == names


@pytest.mark.parametrize("state", DELIVERY_STATES)
async def test_deliveries_are_listed_by_their_state(store: Store, state: str) -> None:
    await one_of_each(store)
    expected = {
        "waiting": ["arrived_before", "waiting"],
        "delivered": ["delivered"],
        "failed": ["failed"],
        "ended": ["ended"],
    }
    assert await listed(store, state=state) == expected[state]
    page = await store.deliveries(DeliveryFilter(state), 100, None)
    assert {one.delivery.state for one in page.deliveries} == {state}


async def test_deliveries_are_listed_by_job_and_endpoint(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", URL, OTHER, endpoints=["ep_1"])
    await telling(store, "job_2", OTHER)
    assert await listed(store, endpoint_id=url_id(OTHER)) == ["job_2", "job_1"]
    assert await listed(store, job_id="job_1") == ["job_1"] * 3
    assert await listed(store, job_id="job_2", endpoint_id=url_id(URL)) == []
    assert await listed(store, job_id="job_1", endpoint_id="ep_1", state="waiting") == ["job_1"]
    assert await listed(store, job_id="job_1", endpoint_id="ep_1", state="failed") == []
    assert await listed(store, job_id="nowhere") == []


@pytest.mark.parametrize("state", [None, "waiting"])
async def test_pages_follow_each_other_without_a_gap(store: Store, state: str | None) -> None:
    for number in range(5):
        await telling(store, f"job_{number}", URL)
    read, cursor = [], None
    for expected in (2, 2, 1):
        page = await store.deliveries(DeliveryFilter(state), 2, cursor)
        assert len(page.deliveries) == expected
        read += [one.delivery.job_id for one in page.deliveries]
        cursor = page.next_cursor
    assert cursor is None
    assert read == [f"job_{number}" for number in (4, 3, 2, 1, 0)]


async def test_a_full_last_page_has_no_successor(store: Store) -> None:
    for number in range(2):
        await telling(store, f"job_{number}", URL)
    assert (await store.deliveries(DeliveryFilter(), 2, None)).next_cursor is None


async def test_a_resend_is_listed_as_a_delivery_of_its_own(store: Store) -> None:
    await telling(store, "job_1", URL)
    (due,) = await due_now(store)
    await settled(store, due, OK)
    again = await store.resend_one(due.delivery.id, None, NOW)
    page = await store.deliveries(DeliveryFilter(job_id="job_1"), 10, None)
    assert [one.delivery.id for one in page.deliveries] == [again.id, due.delivery.id]
    assert [one.delivery.state for one in page.deliveries] == ["waiting", "delivered"]


async def test_a_delivery_is_read_with_where_it_goes_and_its_last_attempt(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", OTHER + "?job=1", endpoints=["ep_1"])
    due = {one.delivery.endpoint_id: one for one in await due_now(store)}
    named, own = due["ep_1"], due[url_id(OTHER)]
    assert (await store.delivery(named.delivery.id)).last is None
    answer = replace(REFUSED, error="http_status", detail="No", body="down")
    await settled(store, named, OK, at=NOW + 1)
    await settled(store, named, answer, at=NOW + 2)
    read = await store.delivery(named.delivery.id)
    assert read.url == URL
    assert read.last == attempt(named, answer, at=NOW + 2)
    assert (await store.delivery(own.delivery.id)).url == OTHER + "?job=1"
    await store.change_endpoint("ep_1", lambda one: replace(one, url="https://moved.example/"))
    assert (await store.delivery(named.delivery.id)).url == "https://moved.example/"


async def test_attempts_are_read_newest_first_and_so_many_at_most(store: Store) -> None:
    await telling(store, "job_1", URL)
    (due,) = await due_now(store)
    for number in range(5):
        await settled(store, due, REFUSED, at=NOW + number, probe=number % 2 == 0)
    read = await store.attempts(due.delivery.id, 3)
    assert [(one.started_at, one.probe) for one in read] == [
        (NOW + 4, True),
        (NOW + 3, False),
        (NOW + 2, True),
    ]


async def test_a_delivery_that_there_is_not_is_not_found(store: Store) -> None:
    with pytest.raises(DeliveryNotFoundError):
        await store.delivery(1)
    assert await store.attempts(1, 10) == []
    assert await store.undelivered(1) == []


async def test_what_waits_is_counted(store: Store) -> None:
    job = await queued(store, new(urls=[URL, OTHER]), "video_1")
    job = await moved(store, job.apply(RUNNING, NOW))
    await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    assert await store.deliveries_waiting() == 2
