"""Operations that change deliveries: new events, and the results of attempts."""

from collections.abc import Callable
from typing import Any

from reelhook.domain.delivery import Attempt, Delivery, UndeliveredReason
from reelhook.domain.endpoint import DEFAULT_FORMAT, Disabled, EndpointKind, name_of
from reelhook.domain.event import Event, EventKind, Instant
from reelhook.ports import Settlement
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import endpoint_wakeups, endpoint_writes
from reelhook.storage.operations.rows import DELIVERY, DELIVERY_COLUMNS, delivery_of, events_of

# The key lock is shared and the weakest available: see `endpoint_wakeups.wake`.
_RECIPIENTS = f"""
SELECT {DELIVERY}, e.events, coalesce(d.format, e.format), e.next_at, e.kind, e.disabled
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
WHERE d.job_id = ?1 AND d.resend_of IS NULL AND NOT d.ended AND e.deleted_at IS NULL
/*pg FOR UPDATE OF d FOR KEY SHARE OF e */
"""
# The epoch is the fence: a worker that has lost its lease changes no row.
_LOCKED_DELIVERY = f"""
SELECT {DELIVERY} FROM deliveries d
WHERE d.id = ?1 AND (CAST(?2 AS TEXT) IS NULL
  OR EXISTS (SELECT 1 FROM leases l WHERE l.id = ?2 AND l.epoch = ?3))
/*pg FOR UPDATE OF d */
"""
_ADD_BODY = "INSERT INTO event_bodies (delivery_id, sequence, format, body) VALUES (?1, ?2, ?3, ?4)"
_MOVE = """
UPDATE deliveries SET status_sequence = ?2, progress_sequence = ?3, attempts = ?4, due_at = ?5,
  not_before = ?6, terminal_at = ?7, ended = ?8, outcome = ?9, delivered_sequence = ?10
WHERE id = ?1
"""
_RECORDED = (
    "SELECT 1 FROM attempts"
    " WHERE delivery_id = ?1 AND sequence = ?2 AND number = ?3 AND started_at = ?4"
)
_ADD_UNDELIVERED = """
INSERT INTO undelivered (delivery_id, sequence, fate, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (delivery_id, sequence) DO UPDATE SET fate = excluded.fate, at = excluded.at
"""


def offer(event: Event, other_body: Callable[[str, Event], bytes | None]) -> Operation[None]:
    """Offer a new event to every delivery of its job whose endpoint wants it.

    A delivery in another format than the default one gets a body of its own; see `Change`.
    """
    if event.kind is EventKind.FALLBACK:
        return
    rows = yield Statement(_RECIPIENTS, (event.job_id,))
    for row in rows:
        wanted, body_format, next_at, kind, disabled = row[len(DELIVERY_COLUMNS) :]
        if name_of(event) not in events_of(wanted):
            continue
        before = delivery_of(row)
        if body_format != DEFAULT_FORMAT:
            body = other_body(body_format, event)
            if body is None:
                continue  # the format does not report it
            yield add_body(before.id, event.sequence, body_format, body)
        after = before.offer(event.sequence, event.kind, event.occurred_at)
        yield from _move(before, after)
        yield from _record_dropped(before, after, UndeliveredReason.SUPERSEDED, event.occurred_at)
        yield from endpoint_wakeups.lower(before.endpoint_id, next_at, after.due_at)
        if kind == EndpointKind.URL and disabled == Disabled.FAILING:
            yield from endpoint_writes.probe_again(before.endpoint_id, event.occurred_at)


def add_body(delivery_id: int, sequence: int, body_format: str, body: bytes) -> Statement:
    """Return the statement that stores an event's body in another format than the default one."""
    return Statement(_ADD_BODY, (delivery_id, sequence, body_format, body))


def settle(settlement: Settlement) -> Operation[Delivery | None]:
    """Record an attempt, move its delivery's cursor, and store the endpoint's health."""
    attempt, lease = settlement.attempt, settlement.lease
    fence = (None, None) if lease is None else (lease.id, lease.epoch)
    rows = yield Statement(_LOCKED_DELIVERY, (attempt.delivery_id, *fence))
    if not rows:
        return None
    before = delivery_of(rows[0])
    # The delivery is locked: another process that recorded the same attempt has committed by now.
    if settlement.again and (yield Statement(_RECORDED, _identity(attempt))):
        return before
    after = settlement.decide(before)
    yield from _move(before, after)
    yield from _record(attempt)
    ended_at = attempt.started_at + attempt.response.duration_ms
    if after.ended:
        yield from _record_dropped(before, after, UndeliveredReason.GONE, ended_at)
    elif not attempt.response.succeeded:
        yield from _record_dropped(before, after, UndeliveredReason.EXHAUSTED, ended_at)
    if settlement.still_open and settlement.endpoint is not None and _waits_on(before, after):
        yield from endpoint_writes.keep_open(settlement.endpoint)
        return after
    if settlement.endpoint is not None:
        yield from endpoint_writes.save_health(settlement.endpoint)
        if settlement.reopened:
            yield from endpoint_wakeups.release(settlement.endpoint.id, ended_at)
    if settlement.endpoint is not None or after.due_at is not None:
        yield from endpoint_wakeups.wake(
            before.endpoint_id, min(ended_at, after.due_at or ended_at)
        )
    return after


def _waits_on(before: Delivery, after: Delivery) -> bool:
    """Return True if the same event waits as before, so nothing is due here earlier than it was."""
    return after.next_sequence is not None and after.next_sequence == before.next_sequence


def _identity(attempt: Attempt) -> tuple[Any, ...]:
    """Return the values that identify an attempt among those of its delivery."""
    return (attempt.delivery_id, attempt.sequence, attempt.number, attempt.started_at)


def _record(attempt: Attempt) -> Operation[None]:
    response = attempt.response
    yield Statement(
        "INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,"
        " http_status, error, detail, answer, probe)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            attempt.delivery_id,
            attempt.event_id,
            attempt.sequence,
            attempt.number,
            attempt.started_at,
            response.duration_ms,
            response.status,
            response.error,
            response.detail,
            response.body,
            attempt.probe,
        ),
    )


def _move(before: Delivery, after: Delivery) -> Operation[None]:
    if after != before:
        yield Statement(
            _MOVE,
            (
                after.id,
                after.status_sequence,
                after.progress_sequence,
                after.attempts,
                after.due_at,
                after.not_before,
                after.terminal_at,
                after.ended,
                None if after.outcome is None else after.outcome.value,
                after.delivered_sequence,
            ),
        )


def _record_dropped(
    before: Delivery, after: Delivery, reason: UndeliveredReason, now: Instant
) -> Operation[None]:
    """Record why events that waited will not arrive."""
    for sequence in before.dropped_by(after):
        yield Statement(_ADD_UNDELIVERED, (before.id, sequence, reason.value, now))
