"""Operations on deliveries: taking events in, finding what is due, recording attempts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from reelhook.domain.delivery import Attempt, Delivery, Fate
from reelhook.domain.endpoint import ALL_LANES, Endpoint, lane_of, name_of
from reelhook.domain.event import Event, EventKind, Instant
from reelhook.ports import DueDeliveries, DueDelivery, DueEndpoint, Settlement, StoredEvent
from reelhook.storage import endpoints
from reelhook.storage.operation import Operation, Row, Statement, query, side_by_side
from reelhook.storage.rows import (
    DELIVERY,
    DELIVERY_COLUMNS,
    ENDPOINT,
    delivery_of,
    endpoint_of,
    events_of,
)

# A loose index scan: one step per endpoint that has something waiting, however much that is, so a
# full queue at one endpoint never delays the look at another.
_WAITING_ENDPOINTS = f"""
WITH RECURSIVE lanes(lane) AS (VALUES {{lanes}}), first(id) AS (
  SELECT (SELECT n.id FROM deliveries n WHERE n.due_at IS NOT NULL AND n.lane = lanes.lane
          ORDER BY n.endpoint_id, n.due_at LIMIT 1)
  FROM lanes
  UNION ALL
  SELECT (SELECT n.id FROM deliveries n
          WHERE n.due_at IS NOT NULL AND n.lane = d.lane AND n.endpoint_id > d.endpoint_id
          ORDER BY n.endpoint_id, n.due_at LIMIT 1)
  FROM first JOIN deliveries d ON d.id = first.id
)
SELECT {ENDPOINT}, e.probe_due_at IS NOT NULL, d.due_at,
  (SELECT min(n.due_at) FROM deliveries n
   WHERE n.lane = d.lane AND n.endpoint_id = d.endpoint_id AND n.due_at > ?1)
FROM first JOIN deliveries d ON d.id = first.id JOIN endpoints e ON e.id = d.endpoint_id
WHERE e.disabled IS NULL AND e.deleted_at IS NULL
"""


@lru_cache(maxsize=64)
def _waiting_endpoints(lanes: frozenset[int]) -> str:
    values = ", ".join(f"({lane:d})" for lane in sorted(lanes))
    return _WAITING_ENDPOINTS.format(lanes=values)


def _with_events(chosen: str) -> str:
    """Return the query for the chosen deliveries with the event that is next.

    The choice stands by itself, so that its limit bounds what PostgreSQL expects of the join.
    """
    return f"""
SELECT {DELIVERY}, e.id, e.body FROM (SELECT * FROM deliveries WHERE {chosen}) d
JOIN events e ON e.job_id = d.job_id
  AND e.sequence = coalesce(d.status_sequence, d.progress_sequence)
"""


_DUE_AT_ENDPOINT = _with_events(
    "lane = ?1 AND endpoint_id = ?2 AND due_at >= ?5 AND due_at <= ?3 ORDER BY due_at LIMIT ?4"
)
_DUE_BY_ID = f"""{_with_events("id = ?1 AND due_at <= ?2")}
JOIN endpoints n ON n.id = d.endpoint_id AND n.disabled IS NULL AND n.deleted_at IS NULL
"""
# The oldest end of a job that waits, or the oldest of all where there is none.
_PROBE_WITH_END = _with_events(
    "endpoint_id = ?1 AND terminal_at IS NOT NULL ORDER BY terminal_at, id LIMIT 1"
)
_PROBE_WITH_ANY = _with_events(
    "lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
)

_TAKERS = f"""
SELECT {DELIVERY}, e.events FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
WHERE d.job_id = ?1 AND d.resend_of IS NULL AND NOT d.ended /*pg FOR UPDATE OF d */
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
        if name_of(event) in events_of(row[len(DELIVERY_COLUMNS)]):
            before = delivery_of(row)
            after = before.offer(event.sequence, event.kind, event.occurred_at)
            yield from _move(before, after)
            yield from _drop(before, after, Fate.SUPERSEDED, event.occurred_at)


def due(
    now: Instant,
    per_endpoint: int,
    limit: int,
    busy: frozenset[str],
    lanes: frozenset[int] = ALL_LANES,
) -> Operation[DueDeliveries]:
    """Return the oldest due deliveries of every endpoint of these lanes that is not busy.

    Where many endpoints wait each gets a smaller share, so that none is left out.
    """
    waiting = (yield Statement(_waiting_endpoints(lanes), (now,))) if lanes else []
    probes: list[Operation[None]] = []
    found: list[DueEndpoint] = []
    later: list[Instant] = []
    asked: list[tuple[Instant, Sequence[Any]]] = []
    for *endpoint, probing, due_at, next_due_at in waiting:
        endpoint_id = endpoint[0]
        if probing:
            if endpoint_id not in busy:
                probes.append(_probe(endpoint_of(endpoint), now, found, later))
        elif due_at > now:
            later.append(due_at)
        else:
            # Behind what is due, and maybe under way for long, another's retry may be next.
            later += [] if next_due_at is None else [next_due_at]
            if endpoint_id not in busy:
                asked.append((due_at, endpoint))
    yield from side_by_side(probes)
    share = max(1, min(per_endpoint, limit // max(1, len(asked))))
    oldest = sorted(asked, key=lambda one: one[0])[:limit]
    found += yield from side_by_side(
        [_due_at(endpoint_of(row), first, now, share) for first, row in oldest]
    )
    return DueDeliveries(tuple(found), min(later, default=None))


def _due_at(endpoint: Endpoint, first: Instant, now: Instant, share: int) -> Operation[DueEndpoint]:
    """Return what is due at one endpoint, where the first of it is known.

    Before the first may lie what was settled long ago: PostgreSQL can't pass over it any faster
    than row by row while anybody's old transaction might still see it.
    """
    at = (lane_of(endpoint.id), endpoint.id)
    rows = yield Statement(_DUE_AT_ENDPOINT, (*at, now, share, first))
    return DueEndpoint(endpoint, tuple(_due_delivery(row) for row in rows))


def _probe(
    endpoint: Endpoint, now: Instant, found: list[DueEndpoint], later: list[Instant]
) -> Operation[None]:
    """Behind an open breaker: the one delivery that goes next, if its time has come."""
    rows = yield Statement(_PROBE_WITH_END, (endpoint.id,))
    if not rows:
        rows = yield Statement(_PROBE_WITH_ANY, (endpoint.id, lane_of(endpoint.id)))
    for row in rows:
        one = _due_delivery(row)
        at = one.delivery.probe_at(endpoint.health.probe_due_at or now)
        if at <= now:
            found.append(DueEndpoint(endpoint, (one,)))
        else:
            later.append(at)


def due_by_id(delivery_id: int, now: Instant) -> Operation[DueEndpoint | None]:
    """Return one delivery with its endpoint, if it may be sent now."""
    rows = yield Statement(_DUE_BY_ID, (delivery_id, now))
    if not rows:
        return None
    due = _due_delivery(rows[0])
    endpoint = yield from endpoints.one(due.delivery.endpoint_id)
    return DueEndpoint(endpoint, (due,))


def ended_meanwhile(delivery_ids: Sequence[int]) -> Operation[list[int]]:
    """Return those of the deliveries for which the end of their job waits."""
    ended = "SELECT id FROM deliveries WHERE id = ?1 AND terminal_at IS NOT NULL"
    found = yield from side_by_side([query(ended, (one,)) for one in delivery_ids])
    return [row[0] for rows in found for row in rows]


def _due_delivery(row: Row) -> DueDelivery:
    delivery = delivery_of(row)
    event_id, body = row[len(DELIVERY_COLUMNS) :]
    sequence = delivery.next_sequence
    if sequence is None or not isinstance(body, bytes):  # the join found the event by it
        raise TypeError(row)
    return DueDelivery(delivery, StoredEvent(str(event_id), delivery.job_id, sequence, body))


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
        yield from _drop(before, after, Fate.GONE, ended_at)
    elif not attempt.answer.succeeded:
        yield from _drop(before, after, Fate.EXHAUSTED, ended_at)
    if settlement.endpoint is not None:
        yield from endpoints.fares(settlement.endpoint)
        if settlement.reopened:
            yield from endpoints.release(settlement.endpoint.id, ended_at)
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


def _drop(before: Delivery, after: Delivery, fate: Fate, now: Instant) -> Operation[None]:
    """Keep why events that waited will not arrive."""
    for sequence in before.dropped_by(after):
        yield Statement(_NOT_DELIVERED, (before.id, sequence, fate.value, now))


def waiting() -> Operation[int]:
    """Return the number of deliveries with something to send."""
    rows = yield Statement("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")
    return int(rows[0][0])
