from dataclasses import replace

import pytest

from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import url_id
from reelhook.domain.report import Progress
from reelhook.ports import DueDeliveries, Settlement
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.due import due as due_deliveries
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .conftest import opened_postgres
from .crowds import crowd
from .samples import ENDPOINT, NOW, flat, jobs, look, moved, new, queued, telling

QUIET = "https://quiet.example/hook"
LOUD = "https://loud.example/hook"


# -- what is due -----------------------------------------------------------------------------------


async def test_nothing_is_due_at_first(store: Store) -> None:
    await queued(store, new(), "video_1")
    assert await look(store) == DueDeliveries((), None)
    assert await store.deliveries_waiting() == 0


async def test_a_due_delivery_comes_with_its_next_event_and_the_bytes_to_send(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = flat(await look(store))
    (event,) = await store.events(["job_1"], {})
    assert due.event == event
    assert (due.delivery.url, due.delivery.endpoint_id) == (QUIET, url_id(QUIET))
    assert (due.delivery.next_sequence, due.delivery.attempts, due.delivery.due_at) == (1, 0, NOW)
    assert await store.deliveries_waiting() == 1


async def test_what_is_due_comes_with_its_endpoint(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", QUIET, endpoints=["ep_1"])
    found = {one.endpoint.id: one for one in (await look(store)).endpoints}
    assert set(found) == {"ep_1", url_id(QUIET)}
    assert found["ep_1"].endpoint == ENDPOINT
    assert found[url_id(QUIET)].endpoint.trusted is False
    assert [one.delivery.url for one in found["ep_1"].deliveries] == [None]


async def test_the_change_of_status_comes_before_the_progress_that_waits_behind_it(
    store: Store,
) -> None:
    job = await telling(store, "job_1", QUIET)
    await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    (due,) = flat(await look(store))
    assert (due.event.sequence, due.delivery.progress_sequence) == (1, 2)


async def test_progress_alone_is_due_as_well(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(Progress(running=False, percent=50), NOW))
    (due,) = flat(await look(store))
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


async def test_the_oldest_come_first_however_postgresql_joins_their_events(
    request: pytest.FixtureRequest,
) -> None:
    def by_hash() -> Operation[DueDeliveries]:
        for kind in ("nestloop", "mergejoin"):
            yield Statement(f"SET LOCAL enable_{kind} TO off")
        return (yield from due_deliveries(NOW + 9, per_endpoint=3, limit=9, busy=frozenset()))

    async with opened_postgres(request) as database:
        store = Store(database)
        for number in (3, 1, 4, 2):
            await telling(store, f"job_{number}", QUIET, at=NOW + number)
        assert jobs(await database.write(by_hash)) == ["job_1", "job_2", "job_3"]


async def test_where_many_endpoints_are_due_each_gets_a_share_and_none_is_left_out(
    store: Store,
) -> None:
    for number in range(6):
        await telling(store, f"job_{number}", *(f"https://h{n}.example/" for n in range(4)))
    found = await look(store, per_endpoint=6, limit=12)
    assert [len(one.deliveries) for one in found.endpoints] == [3] * 4
    found = await look(store, per_endpoint=6, limit=5)
    assert [len(one.deliveries) for one in found.endpoints] == [1] * 4
    found = await look(store, per_endpoint=2, limit=100)
    assert [len(one.deliveries) for one in found.endpoints] == [2] * 4


async def test_where_even_one_of_each_is_too_much_those_go_first_that_wait_longest(
    store: Store,
) -> None:
    for number in (4, 2, 5, 1, 3):
        await telling(store, f"job_{number}", f"https://h{number}.example/", at=NOW + number)
    assert jobs(await look(store, NOW + 9, limit=3)) == ["job_1", "job_2", "job_3"]


async def test_deliveries_that_differ_in_their_query_share_an_endpoint(store: Store) -> None:
    await telling(store, "job_1", QUIET + "?job=1")
    await telling(store, "job_2", QUIET + "?job=2")
    (found,) = (await look(store)).endpoints
    assert found.endpoint.url == "https://quiet.example:443/hook"
    assert [one.delivery.url for one in found.deliveries] == [QUIET + "?job=1", QUIET + "?job=2"]


async def test_thousands_waiting_at_one_endpoint_hide_no_other(
    store: Store, database: SQLite
) -> None:
    names = [f"https://h{number}.example/" for number in range(40)]
    await telling(store, "quiet", LOUD, *names)
    await database.write(lambda: crowd(url_id(LOUD), 3000, at=NOW - 4000))
    due = await look(store, per_endpoint=4, limit=200)
    assert {len(one.deliveries) for one in due.endpoints if one.endpoint.id == url_id(LOUD)} == {4}
    assert {one.delivery.url for one in flat(due)} >= set(names)
    assert await store.deliveries_waiting() == 3041


async def test_busy_endpoints_are_passed_over(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    await telling(store, "job_2", LOUD)
    assert jobs(await look(store, busy=frozenset({url_id(LOUD)}))) == ["job_1"]


async def test_a_retry_behind_what_is_due_at_its_endpoint_is_told_by_its_time(store: Store) -> None:
    await telling(store, "hanging", QUIET, at=NOW)
    await telling(store, "retry", QUIET, at=NOW + 5000)
    await telling(store, "later", LOUD, at=NOW + 9000)
    due = await look(store)
    assert (jobs(due), due.next_due_at) == (["hanging"], NOW + 5000)
    due = await look(store, busy=frozenset({url_id(QUIET)}))
    assert (jobs(due), due.next_due_at) == ([], NOW + 5000)


async def test_disabled_endpoints_are_passed_over_and_what_waits_is_kept(store: Store) -> None:
    await telling(store, "job_1", QUIET, LOUD)
    await store.change_endpoint(url_id(LOUD), lambda one: one.disable(NOW))
    due = await look(store)
    assert [one.delivery.url for one in flat(due)] == [QUIET]
    assert due.next_due_at is None
    assert await store.deliveries_waiting() == 2
    await store.change_endpoint(url_id(LOUD), lambda one: one.enable())
    assert {one.delivery.url for one in flat(await look(store))} == {QUIET, LOUD}


async def test_a_disabled_endpoint_wakes_nobody_when_a_retry_is_due(store: Store) -> None:
    await telling(store, "job_1", QUIET, at=NOW + 50)
    await store.change_endpoint(url_id(QUIET), lambda one: one.disable(NOW))
    assert await look(store) == DueDeliveries((), None)


# -- one delivery ----------------------------------------------------------------------------------


async def test_one_delivery_is_returned_if_it_may_be_sent_now(store: Store) -> None:
    await telling(store, "job_1", QUIET, at=NOW + 5)
    (found,) = (await look(store, NOW + 5)).endpoints
    (due,) = found.deliveries
    assert await store.due_delivery(due.delivery.id, NOW + 5) == found
    assert await store.due_delivery(due.delivery.id, NOW + 4) is None
    assert await store.due_delivery(due.delivery.id + 1, NOW + 5) is None
    await store.change_endpoint(found.endpoint.id, lambda one: one.disable(NOW))
    assert await store.due_delivery(due.delivery.id, NOW + 5) is None


async def test_what_waits_for_a_retry_is_due_once_its_endpoint_is_enabled_again(
    store: Store,
) -> None:
    await telling(store, "job_1", QUIET)
    (found,) = (await look(store)).endpoints
    (due,) = found.deliveries
    answer = WebhookResponse(5, 503, retry_after_seconds=0.02)
    attempt = Attempt(due.delivery.id, due.event.event_id, 1, 1, NOW, answer)

    def refused(delivery: Delivery) -> Delivery:
        return replace(delivery, attempts=1, due_at=NOW + 3_600_000, not_before=NOW + 20)

    await store.settle(Settlement(attempt, refused))
    await store.change_endpoint(found.endpoint.id, lambda one: one.disable(NOW + 5))
    await store.change_endpoint(found.endpoint.id, lambda one: one.enable())
    assert flat(await look(store, NOW + 19)) == []
    assert len(flat(await look(store, NOW + 20))) == 1


async def test_those_are_named_for_which_the_end_of_their_job_waits(store: Store) -> None:
    first = await telling(store, "job_1", QUIET, LOUD)
    await telling(store, "job_2", QUIET)
    ids = [one.delivery.id for one in flat(await look(store))]
    assert await store.ended_meanwhile(ids) == []
    await moved(store, first.cancel(NOW + 1))
    ended = await store.ended_meanwhile([*ids, 999])
    assert [(await store.delivery(one)).delivery.job_id for one in ended] == ["job_1", "job_1"]
