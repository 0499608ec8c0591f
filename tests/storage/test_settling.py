from dataclasses import replace

import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import Delivery, UndeliveredReason, WebhookResponse
from reelhook.domain.endpoint import Disabled, EventName, url_id
from reelhook.domain.report import Progress
from reelhook.ports import DeliveryFilter, Settlement, StoredDelivery, Undelivered
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    GONE,
    NOW,
    OK,
    REFUSED,
    attempt,
    due_now,
    exhausted,
    look,
    moved,
    new,
    queued,
    settled,
    telling,
)

QUIET = "https://quiet.example/hook"
LOUD = "https://loud.example/hook"
WISHING = WebhookResponse(duration_ms=7, status=503, retry_after_seconds=60)


# -- the record ------------------------------------------------------------------------------------


async def test_an_attempt_is_recorded_with_the_moved_cursor(store: Store, sql: Sql) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    answer = WebhookResponse(
        duration_ms=12,
        status=503,
        error="http_status",
        detail="Service Unavailable",
        body="down",
        retry_after_seconds=9,
    )
    after = replace(due.delivery, attempts=3, due_at=NOW + 9000)
    made = attempt(due, answer, number=3)
    assert await store.settle(Settlement(made, lambda _: after)) == after
    assert await sql(
        "SELECT delivery_id, event_id, sequence, number, started_at, probe FROM attempts"
    ) == [(due.delivery.id, made.event_id, 1, 3, NOW + 5, 0)]
    assert await sql("SELECT duration_ms, http_status, error, detail, answer FROM attempts") == [
        (12, 503, "http_status", "Service Unavailable", "down")
    ]
    assert (await look(store)).next_due_at == NOW + 9000


async def test_every_field_of_a_cursor_is_read_as_it_was_settled(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    await settled(store, due, WISHING)
    tried = await settled(store, due, WISHING)
    assert (tried.attempts, tried.not_before) == (2, NOW + 60_012)
    assert (await store.delivery(due.delivery.id)).delivery == tried
    delivered = await settled(store, due, OK)
    assert (delivered.delivered_sequence, delivered.outcome) == (1, "delivered")
    assert (await store.delivery(due.delivery.id)).delivery == delivered


async def test_the_cursor_is_decided_on_what_the_store_holds_by_then(store: Store) -> None:
    job = await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    await moved(store, job.apply(FINISHED, NOW + 1))
    seen: list[Delivery] = []

    def decide(current: Delivery) -> Delivery:
        seen.append(current)
        return current

    await store.settle(Settlement(attempt(due, OK), decide))
    assert [one.next_sequence for one in seen] == [2]


async def test_an_attempt_of_a_superseded_event_is_recorded_and_moves_nothing(
    store: Store, sql: Sql
) -> None:
    job = await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    await moved(store, job.apply(FINISHED, NOW + 1))
    await settled(store, due, REFUSED)
    assert await sql("SELECT sequence, http_status FROM attempts") == [(1, 500)]
    (due,) = await due_now(store, NOW + 1)
    assert (due.event.sequence, due.delivery.attempts) == (2, 0)


async def test_a_delivery_that_ended_is_never_due_again(store: Store) -> None:
    job = await telling(store, "job_1", QUIET, LOUD)
    first, second = await due_now(store)
    assert (await settled(store, first, GONE)).ended
    await moved(store, job.apply(FINISHED, NOW))
    (due,) = await due_now(store)
    assert (due.delivery.id, due.event.sequence) == (second.delivery.id, 2)


async def test_a_decision_that_fails_records_nothing(store: Store, sql: Sql) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)

    def decide(_: Delivery) -> Delivery:
        raise ArithmeticError

    failing = replace(ENDPOINT, health=CircuitBreaker(failures=9))
    with pytest.raises(ArithmeticError):
        await store.settle(Settlement(attempt(due, OK), decide, failing))
    assert await sql("SELECT * FROM attempts") == []
    assert await due_now(store) == [due]
    assert await store.endpoint("ep_1") == ENDPOINT


# -- how the endpoint fares ------------------------------------------------------------------------


async def test_how_the_endpoint_fares_is_kept_with_the_attempt_and_nothing_else_of_it(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    renamed = await store.change_endpoint("ep_1", lambda one: replace(one, description="new"))
    health = CircuitBreaker(5, NOW - 9, NOW + 5000, 10_000, 2)
    await settled(store, due, REFUSED, endpoint=replace(ENDPOINT, health=health))
    assert await store.endpoint("ep_1") == replace(renamed, health=health)


async def test_an_answer_that_changes_nothing_about_the_endpoint_leaves_it_alone(
    store: Store,
) -> None:
    await store.create_endpoint(
        replace(ENDPOINT, health=CircuitBreaker(failures=3, failing_since=NOW))
    )
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    await settled(store, due, REFUSED)
    assert (await store.endpoint("ep_1")).health.failures == 3


async def test_an_endpoint_that_an_answer_disabled_is_passed_over_from_then_on(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    gone = ENDPOINT.responded(GONE, NOW + 9, probe=False)
    await store.settle(Settlement(attempt(due, GONE), lambda current: current, gone))
    kept = await store.endpoint("ep_1")
    assert (kept.disabled, kept.disabled_at) == (Disabled.GONE, NOW + 9)
    assert await due_now(store) == []
    await store.change_endpoint("ep_1", lambda one: one.enable())
    assert await due_now(store) == [due]


async def test_what_the_operator_decided_meanwhile_stands(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    await store.change_endpoint("ep_1", lambda one: one.disable(NOW + 1))
    await settled(store, due, REFUSED, endpoint=ENDPOINT.responded(GONE, NOW + 9, probe=False))
    kept = await store.endpoint("ep_1")
    assert (kept.disabled, kept.disabled_at) == (Disabled.OPERATOR, NOW + 1)
    await settled(store, due, REFUSED, endpoint=ENDPOINT.responded(OK, NOW + 9, probe=False))
    assert (await store.endpoint("ep_1")).disabled is Disabled.OPERATOR


async def test_when_the_breaker_closes_what_waits_for_a_retry_may_go_at_once(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    for number in range(4):
        await telling(store, f"job_{number}", endpoints=["ep_1"])
    await telling(store, "elsewhere", QUIET)
    probe, retry, wishing, fresh, elsewhere = sorted(
        await due_now(store), key=lambda due: due.delivery.id
    )
    for due, answer in ((retry, REFUSED), (wishing, WISHING), (elsewhere, REFUSED)):
        await settled(store, due, answer)
    healthy = replace(ENDPOINT, health=CircuitBreaker(ramp=1))
    await settled(store, probe, OK, at=NOW + 100, endpoint=healthy, reopened=True)
    due_at = {
        one.delivery.job_id: one.delivery.due_at for one in (await look_at_all(store)).values()
    }
    assert due_at["job_0"] is None
    assert due_at["job_1"] == NOW + 107  # the moment of the answer
    assert due_at["job_2"] == NOW + 60_012  # what the receiver wished for still holds
    assert due_at["job_3"] == NOW
    assert (due_at["elsewhere"] or 0) >= NOW + 5_012  # another endpoint's breaker
    assert fresh.delivery.job_id == "job_3"


async def look_at_all(store: Store) -> dict[int, StoredDelivery]:
    page = await store.deliveries(DeliveryFilter(), 100, None)
    return {one.delivery.id: one for one in page.deliveries}


async def test_a_failure_or_a_plain_success_releases_nothing(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    for number in range(2):
        await telling(store, f"job_{number}", endpoints=["ep_1"])
    first, second = await due_now(store)
    waiting = await settled(store, second, REFUSED)
    await settled(store, first, OK, endpoint=replace(ENDPOINT, health=CircuitBreaker(ramp=2)))
    assert (await store.delivery(waiting.id)).delivery.due_at == waiting.due_at


# -- what never arrived ----------------------------------------------------------------------------


async def test_what_was_superseded_is_recorded_with_its_moment(store: Store) -> None:
    job = await queued(store, new(urls=[QUIET]), "video_1")
    for number in range(1, 4):
        progress = Progress(running=False, percent=number)
        job = await moved(store, job.apply(progress, NOW + number))
    (due,) = await due_now(store, NOW + 3)
    assert await store.undelivered(due.delivery.id) == [
        Undelivered(1, UndeliveredReason.SUPERSEDED, NOW + 2),
        Undelivered(2, UndeliveredReason.SUPERSEDED, NOW + 3),
    ]
    await moved(store, job.apply(FINISHED, NOW + 4))
    assert (await store.undelivered(due.delivery.id))[2:] == [
        Undelivered(3, UndeliveredReason.SUPERSEDED, NOW + 4)
    ]


async def test_what_arrived_after_it_was_superseded_did_arrive(store: Store) -> None:
    job = await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    await moved(store, job.apply(FINISHED, NOW + 1))
    assert len(await store.undelivered(due.delivery.id)) == 1
    await settled(store, due, OK)
    assert await store.undelivered(due.delivery.id) == []


async def test_what_was_given_up_is_recorded_as_exhausted(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    await exhausted(store, due, at=NOW + 50)
    assert await store.undelivered(due.delivery.id) == [
        Undelivered(1, UndeliveredReason.EXHAUSTED, NOW + 57)
    ]
    assert await store.deliveries_waiting() == 0


async def test_what_waited_when_the_receiver_was_gone_is_recorded_as_such(store: Store) -> None:
    job = await telling(store, "job_1", QUIET)
    await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    (due,) = await due_now(store)
    await settled(store, due, GONE, at=NOW + 50)
    assert await store.undelivered(due.delivery.id) == [
        Undelivered(1, UndeliveredReason.GONE, NOW + 57),
        Undelivered(2, UndeliveredReason.GONE, NOW + 57),
    ]


async def test_a_probe_that_fails_gives_nothing_up(store: Store) -> None:
    await telling(store, "job_1", QUIET)
    (due,) = await due_now(store)
    for _ in range(20):
        await settled(store, due, REFUSED, probe=True)
    assert await store.undelivered(due.delivery.id) == []
    assert await due_now(store) == [due]
    assert [one.probe for one in await store.attempts(due.delivery.id, 100)] == [True] * 20


async def test_what_waited_when_its_endpoint_was_deleted_is_recorded_as_gone(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    job = await telling(store, "job_1", endpoints=["ep_1"])
    await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    (due,) = await due_now(store)
    await store.delete_endpoint("ep_1", NOW + 9)
    assert await store.undelivered(due.delivery.id) == [
        Undelivered(1, UndeliveredReason.GONE, NOW + 9),
        Undelivered(2, UndeliveredReason.GONE, NOW + 9),
    ]
    assert (await settled(store, due, OK)).ended  # it was on its way
    assert [one.sequence for one in await store.undelivered(due.delivery.id)] == [2]
    assert await store.deliveries_waiting() == 0


async def test_nothing_that_an_endpoint_did_not_ask_for_is_undelivered(store: Store) -> None:
    job = await queued(store, new(urls=[QUIET]), "video_1")
    await store.change_endpoint(
        url_id(QUIET), lambda one: replace(one, events=frozenset({EventName.COMPLETED}))
    )
    job = await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    await moved(store, job.apply(FINISHED, NOW))
    (due,) = await due_now(store)
    assert due.event.sequence == 2
    assert await store.undelivered(due.delivery.id) == []
