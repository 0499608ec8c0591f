from dataclasses import replace
from pathlib import Path

import pytest

from reelhook.domain.endpoint import url_id
from reelhook.domain.errors import (
    DeliveryNotFoundError,
    EndpointNotFoundError,
    ResendNotFoundError,
    UnknownEventError,
)
from reelhook.domain.report import Progress
from reelhook.ports import DueDelivery, Resend
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .samples import (
    ENDPOINT,
    FINISHED,
    GONE,
    NOW,
    OK,
    REFUSED,
    URL,
    due_now,
    exhausted,
    moved,
    new,
    queued,
    settled,
    telling,
)

OTHER = "https://other.example/hook"
LATE = NOW + 60_000
RUN = Resend("resend_1", NOW, LATE)


async def delivered(store: Store, job_id: str = "job_1", url: str = URL) -> DueDelivery:
    """Store a job whose first event arrived."""
    await telling(store, job_id, url)
    (due,) = [one for one in await due_now(store) if one.delivery.job_id == job_id]
    await settled(store, due, OK)
    return due


async def failed(store: Store, count: int, url: str = URL, at: int = NOW + 5) -> list[DueDelivery]:
    """Store that many jobs whose first event was given up, a millisecond after each other."""
    host = url_id(url)[-4:]
    for number in range(count):
        await telling(store, f"{host}_{number}", f"{url}?job={number}")
    found = [one for one in await due_now(store) if one.delivery.endpoint_id == url_id(url)]
    for number, due in enumerate(found):
        await exhausted(store, due, at=at + number)
    return found


async def resent(store: Store, now: int = LATE) -> list[DueDelivery]:
    """What is due now and repeats an earlier delivery."""
    due = await store.due_deliveries(now, per_endpoint=1000, limit=10_000, busy=frozenset())
    found = [one for endpoint in due.endpoints for one in endpoint.deliveries]
    return [one for one in found if one.delivery.resend_of is not None]


# -- one -------------------------------------------------------------------------------------------


async def test_a_resend_repeats_an_event_with_its_id_and_bytes(store: Store) -> None:
    first = await delivered(store)
    again = await store.resend_one(first.delivery.id, 1, LATE)
    assert (again.resend_of, again.job_id, again.endpoint_id) == (
        first.delivery.id,
        "job_1",
        url_id(URL),
    )
    (due,) = await due_now(store, LATE)
    assert due.delivery == again
    assert due.event == first.event
    assert (due.delivery.url, due.delivery.due_at, due.delivery.attempts) == (URL, LATE, 0)


async def test_without_a_sequence_the_jobs_newest_event_is_repeated(store: Store) -> None:
    first = await delivered(store)
    job = (await store.job("job_1")).job
    job = await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    await moved(store, job.apply(FINISHED, NOW + 9))
    again = await store.resend_one(first.delivery.id, None, LATE)
    assert again.status_sequence == 3
    assert again.terminal_at == NOW + 9  # so that it goes first behind an open breaker
    assert (await store.resend_one(first.delivery.id, 2, LATE)).terminal_at is None


async def test_a_resend_is_outside_the_order_and_takes_no_other_event(store: Store) -> None:
    first = await delivered(store)
    again = await store.resend_one(first.delivery.id, 1, LATE)
    job = (await store.job("job_1")).job
    await moved(store, job.apply(FINISHED, NOW + 9))
    waiting = {one.delivery.id: one.event.sequence for one in await due_now(store, LATE)}
    assert waiting == {first.delivery.id: 2, again.id: 1}
    await settled(store, (await resent(store))[0], OK, at=LATE)
    left = [(one.delivery.id, one.event.sequence) for one in await due_now(store, LATE)]
    assert left == [(first.delivery.id, 2)]


async def test_a_resend_is_tried_again_like_any_change_of_status(store: Store) -> None:
    first = await delivered(store)
    again = await store.resend_one(first.delivery.id, 1, LATE)
    (due,) = await resent(store)
    tried = await settled(store, due, REFUSED, at=LATE)
    assert (tried.attempts, tried.next_sequence) == (1, 1)
    assert (tried.due_at or 0) >= LATE + 5_000
    assert (await store.delivery(again.id)).delivery == tried
    assert (await store.delivery(first.delivery.id)).delivery.attempts == 0


async def test_a_resend_of_a_resend_repeats_the_first_delivery(store: Store) -> None:
    first = await delivered(store)
    again = await store.resend_one(first.delivery.id, 1, LATE)
    assert (await store.resend_one(again.id, None, LATE)).resend_of == first.delivery.id


async def test_the_attempts_of_resends_are_read_with_those_of_the_first(store: Store) -> None:
    first = await delivered(store)
    await store.resend_one(first.delivery.id, 1, LATE)
    (due,) = await resent(store)
    await settled(store, due, REFUSED, at=LATE)
    read = await store.attempts(first.delivery.id, 10)
    assert [(one.delivery_id, one.response.status) for one in read] == [
        (due.delivery.id, 500),
        (first.delivery.id, 204),
    ]
    assert [one.delivery_id for one in await store.attempts(first.delivery.id, 1)] == [
        due.delivery.id
    ]
    assert len(await store.attempts(due.delivery.id, 10)) == 1


async def test_an_event_or_a_delivery_that_there_is_not_can_not_be_sent_anew(
    store: Store,
) -> None:
    first = await delivered(store)
    await queued(store, new("silent"), "video_silent")
    with pytest.raises(UnknownEventError, match="The job has no event 2") as unknown:
        await store.resend_one(first.delivery.id, 2, LATE)
    assert unknown.value.facts == {"job_id": "job_1", "sequence": 2}
    with pytest.raises(UnknownEventError, match="The job has no event yet") as unknown:
        await store.resend_one(first.delivery.id + 1, None, LATE)
    assert unknown.value.facts == {"job_id": "silent"}
    with pytest.raises(DeliveryNotFoundError):
        await store.resend_one(99, None, LATE)
    assert await resent(store) == []


async def test_nothing_is_sent_anew_to_a_deleted_endpoint_and_no_other_suffers(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", OTHER, endpoints=["ep_1"])
    (due,) = [one for one in await due_now(store) if one.delivery.endpoint_id == "ep_1"]
    await store.delete_endpoint("ep_1", NOW)
    with pytest.raises(EndpointNotFoundError):
        await store.resend_one(due.delivery.id, None, LATE)
    assert [one.delivery.endpoint_id for one in await due_now(store, LATE)] == [url_id(OTHER)]


# -- all that failed -------------------------------------------------------------------------------


async def test_all_that_failed_is_sent_anew_in_batches_the_oldest_first(store: Store) -> None:
    first = await failed(store, 5)
    await store.start_resend(RUN)
    assert await store.unfinished_resends() == [RUN]
    told = [await store.advance_resend("resend_1", 2, LATE) for _ in range(3)]
    assert [(one.resent, one.finished_at) for one in told] == [(2, None), (4, None), (5, LATE)]
    assert await store.unfinished_resends() == []
    assert await store.resend("resend_1") == told[-1]
    found = sorted(await resent(store), key=lambda one: one.delivery.id)
    assert [one.delivery.resend_of for one in found] == [one.delivery.id for one in first]
    assert [one.event for one in found] == [one.event for one in first]
    assert [one.delivery.url for one in found] == [one.delivery.url for one in first]


async def test_what_failed_at_an_endpoint_is_counted_as_it_would_be_sent(store: Store) -> None:
    here = (await failed(store, 3))[0].delivery
    await failed(store, 2, OTHER)
    ours = here.endpoint_id

    async def count(since: int = NOW, endpoint_id: str = ours, project: str | None = None) -> int:
        return (await store.count_failed(endpoint_id, since, LATE, project=project)).count

    first = (await store.undelivered(here.id))[0].at
    assert (await count(), await count(first + 1), await count(LATE)) == (3, 2, 0)
    assert (await count(endpoint_id=url_id(OTHER)), await count(project="studio")) == (2, 0)
    await store.resend_one(here.id, None, LATE)
    assert await count() == 2
    (again,) = await resent(store)
    await exhausted(store, again, at=LATE - 1000)
    assert await count() == 3


async def test_a_batch_that_takes_just_the_last_of_them_sends_nothing_twice(store: Store) -> None:
    await failed(store, 4)
    await store.start_resend(RUN)
    told = [await store.advance_resend("resend_1", 2, LATE) for _ in range(4)]
    assert [one.resent for one in told] == [2, 4, 4, 4]
    assert told[2].finished_at == LATE
    assert len(await resent(store)) == 4


async def test_two_runs_at_once_send_each_once(store: Store) -> None:
    first = await failed(store, 7)
    for name in ("resend_1", "resend_2"):
        await store.start_resend(replace(RUN, id=name))
    while unfinished := await store.unfinished_resends():
        for one in unfinished:
            await store.advance_resend(one.id, 2, LATE)
    found = [one.delivery.resend_of for one in await resent(store)]
    assert sorted(one or 0 for one in found) == [one.delivery.id for one in first]
    counted = [(await store.resend(name)).resent for name in ("resend_1", "resend_2")]
    assert sum(counted) == 7


async def test_a_later_run_sends_nothing_that_an_earlier_one_sent(store: Store) -> None:
    await failed(store, 3)
    for name in ("resend_1", "resend_2"):
        await store.start_resend(replace(RUN, id=name))
        await store.advance_resend(name, 10, LATE)
    assert [(await store.resend(name)).resent for name in ("resend_1", "resend_2")] == [3, 0]
    assert len(await resent(store)) == 3


async def test_a_run_goes_on_where_it_was_after_a_restart_in_its_middle(
    database_path: Path,
) -> None:
    database = SQLite(database_path)
    store = Store(database)
    first = await failed(store, 5)
    await store.start_resend(RUN)
    await store.advance_resend("resend_1", 2, LATE)
    await database.close()
    database = SQLite(database_path)
    store = Store(database)
    (unfinished,) = await store.unfinished_resends()
    assert unfinished == replace(RUN, resent=2)
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 5
    found = [one.delivery.resend_of for one in await resent(store)]
    assert sorted(one or 0 for one in found) == [one.delivery.id for one in first]
    await database.close()


async def test_what_fails_again_is_sent_once_more_by_the_next_run_alone(store: Store) -> None:
    (first,) = await failed(store, 1)
    await store.start_resend(RUN)
    await store.advance_resend("resend_1", 10, LATE)
    (again,) = await resent(store)
    await exhausted(store, again, at=LATE + 5)
    assert (await store.advance_resend("resend_1", 10, LATE + 9)).resent == 1  # not its own
    later = LATE + 60_000
    for name, expected in (("resend_2", 1), ("resend_3", 0)):
        await store.start_resend(replace(RUN, id=name, until=later))
        assert (await store.advance_resend(name, 10, later)).resent == expected
    (third,) = await resent(store, later)
    assert third.delivery.resend_of == first.delivery.id
    assert third.event == first.event


async def test_what_was_sent_anew_by_hand_is_not_sent_by_a_run_as_well(store: Store) -> None:
    first, second = await failed(store, 2)
    await store.resend_one(first.delivery.id, 1, LATE)
    await store.start_resend(RUN)
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 1
    found = {one.delivery.resend_of for one in await resent(store)}
    assert found == {first.delivery.id, second.delivery.id}


async def test_what_failed_anew_and_was_then_sent_by_hand_is_not_sent_by_a_run_as_well(
    store: Store,
) -> None:
    (first,) = await failed(store, 1)
    await store.resend_one(first.delivery.id, 1, NOW)
    (again,) = await resent(store)
    await exhausted(store, again, at=NOW + 5)
    await store.resend_one(first.delivery.id, 1, LATE)
    await store.start_resend(RUN)
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 0
    assert len(await resent(store)) == 1


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_an_event_that_failed_anew_several_times_is_sent_once(
    store: Store, limit: int
) -> None:
    first = await delivered(store)
    for _ in range(3):
        await store.resend_one(first.delivery.id, 1, NOW)
    for again in await resent(store):
        await exhausted(store, again)
    await store.start_resend(RUN)
    while (await store.resend("resend_1")).finished_at is None:
        await store.advance_resend("resend_1", limit, LATE)
    assert (await store.resend("resend_1")).resent == 1
    assert len(await resent(store)) == 1


async def test_only_what_failed_between_the_two_moments_is_sent(store: Store) -> None:
    found = await failed(store, 5, at=NOW - 7)  # the answer comes 7 ms later: NOW .. NOW + 4
    await store.start_resend(replace(RUN, since=NOW + 1, until=NOW + 3))
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 3
    expected = {one.delivery.id for one in found[1:4]}
    assert {one.delivery.resend_of for one in await resent(store)} == expected


async def test_a_run_for_one_endpoint_leaves_the_others_alone(store: Store) -> None:
    await failed(store, 2)
    await failed(store, 3, OTHER)
    await store.start_resend(replace(RUN, endpoint_id=url_id(OTHER)))
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 3
    assert {one.delivery.endpoint_id for one in await resent(store)} == {url_id(OTHER)}


async def test_what_was_superseded_or_ended_by_410_did_not_fail(store: Store) -> None:
    job = await telling(store, "superseded", URL)
    await moved(store, job.apply(FINISHED, NOW))
    await telling(store, "gone", OTHER)
    (gone,) = [one for one in await due_now(store) if one.delivery.job_id == "gone"]
    await settled(store, gone, GONE)
    await store.start_resend(RUN)
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 0


async def test_what_failed_at_a_deleted_endpoint_is_not_sent(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    await exhausted(store, due)
    await store.delete_endpoint("ep_1", NOW)
    await store.start_resend(RUN)
    finished = await store.advance_resend("resend_1", 10, LATE)
    assert (finished.resent, finished.finished_at) == (0, LATE)


async def test_what_failed_at_a_disabled_endpoint_waits_until_it_is_enabled(store: Store) -> None:
    await failed(store, 2)
    await store.change_endpoint(url_id(URL), lambda one: one.disable(NOW))
    await store.start_resend(RUN)
    assert (await store.advance_resend("resend_1", 10, LATE)).resent == 2
    assert await resent(store) == []
    await store.change_endpoint(url_id(URL), lambda one: one.enable())
    assert len(await resent(store)) == 2


async def test_a_run_that_there_is_not_is_not_found(store: Store) -> None:
    with pytest.raises(ResendNotFoundError):
        await store.resend("resend_1")
    with pytest.raises(ResendNotFoundError):
        await store.advance_resend("resend_1", 10, LATE)
