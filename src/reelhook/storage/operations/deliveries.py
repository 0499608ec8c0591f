"""Operations on deliveries: taking events in, recording attempts."""

from typing import Any

from reelhook.domain.delivery import Attempt, Delivery, UndeliveredReason
from reelhook.domain.endpoint import Disabled, EndpointKind, name_of
from reelhook.domain.event import Event, EventKind, Instant
from reelhook.ports import Settlement
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import endpoints
from reelhook.storage.operations.rows import DELIVERY, DELIVERY_COLUMNS, delivery_of, events_of

# The key lock is the weakest there is, and shared: see `endpoints.wake`.
_TAKERS = f"""
SELECT {DELIVERY}, e.events, e.next_at, e.kind, e.disabled
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
WHERE d.job_id = ?1 AND d.resend_of IS NULL AND NOT d.ended AND e.deleted_at IS NULL
/*pg FOR UPDATE OF d FOR KEY SHARE OF e */
"""
# The epoch is the fence: a worker that lost its lease changes no row.
_HELD_DELIVERY = f"""
SELECT {DELIVERY} FROM deliveries d
WHERE d.id = ?1 AND (CAST(?2 AS TEXT) IS NULL
  OR EXISTS (SELECT 1 FROM leases l WHERE l.id = ?2 AND l.epoch = ?3))
/*pg FOR UPDATE OF d */
"""
_MOVE = """
UPDATE deliveries SET status_sequence = ?2, progress_sequence = ?3, attempts = ?4, due_at = ?5,
  not_before = ?6, terminal_at = ?7, ended = ?8, outcome = ?9, delivered_sequence = ?10
WHERE id = ?1
"""
_RECORDED = (
    "SELECT 1 FROM attempts"
    " WHERE delivery_id = ?1 AND sequence = ?2 AND number = ?3 AND started_at = ?4"
)
_NOT_DELIVERED = """
INSERT INTO undelivered (delivery_id, sequence, fate, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (delivery_id, sequence) DO UPDATE SET fate = excluded.fate, at = excluded.at
"""


def offer(event: Event) -> Operation[None]:
    """Put a new event before every delivery of its job whose endpoint wants it."""
    if event.kind is EventKind.FALLBACK:
        return
    rows = yield Statement(_TAKERS, (event.job_id,))
    for row in rows:
        wanted, next_at, kind, disabled = row[len(DELIVERY_COLUMNS) :]
        if name_of(event) not in events_of(wanted):
            continue
        before = delivery_of(row)
        after = before.offer(event.sequence, event.kind, event.occurred_at)
        yield from _move(before, after)
        yield from _drop(before, after, UndeliveredReason.SUPERSEDED, event.occurred_at)
        yield from endpoints.lower(before.endpoint_id, next_at, after.due_at)
        if kind == EndpointKind.URL and disabled == Disabled.FAILING:
            yield from endpoints.ask_again(before.endpoint_id, event.occurred_at)


def settle(settlement: Settlement) -> Operation[Delivery | None]:
    """Record an attempt, move its delivery's cursor, and keep how the endpoint fares."""
    attempt, lease = settlement.attempt, settlement.lease
    fence = (None, None) if lease is None else (lease.id, lease.epoch)
    rows = yield Statement(_HELD_DELIVERY, (attempt.delivery_id, *fence))
    if not rows:
        return None
    before = delivery_of(rows[0])
    # The delivery is locked: whoever may be recording the same attempt has ended by now.
    if settlement.again and (yield Statement(_RECORDED, _identity(attempt))):
        return before
    after = settlement.decide(before)
    yield from _move(before, after)
    yield from _record(attempt)
    ended_at = attempt.started_at + attempt.answer.duration_ms
    if after.ended:
        yield from _drop(before, after, UndeliveredReason.GONE, ended_at)
    elif not attempt.answer.succeeded:
        yield from _drop(before, after, UndeliveredReason.EXHAUSTED, ended_at)
    if settlement.endpoint is not None:
        yield from endpoints.account_status(settlement.endpoint)
        if settlement.reopened:
            yield from endpoints.release(settlement.endpoint.id, ended_at)
    if settlement.endpoint is not None or after.due_at is not None:
        yield from endpoints.wake(before.endpoint_id, min(ended_at, after.due_at or ended_at))
    return after


def _identity(attempt: Attempt) -> tuple[Any, ...]:
    """Return what no two attempts of a delivery have in common."""
    return (attempt.delivery_id, attempt.sequence, attempt.number, attempt.started_at)


def _record(attempt: Attempt) -> Operation[None]:
    answer = attempt.answer
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
            answer.duration_ms,
            answer.status,
            answer.error,
            answer.detail,
            answer.body,
            attempt.probe,
        ),
    )


def _move(before: Delivery, after: Delivery) -> Operation[None]:
    if after is not before:
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


def _drop(
    before: Delivery, after: Delivery, fate: UndeliveredReason, now: Instant
) -> Operation[None]:
    """Keep why events that waited will not arrive."""
    for sequence in before.dropped_by(after):
        yield Statement(_NOT_DELIVERED, (before.id, sequence, fate.value, now))
