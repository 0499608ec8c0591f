"""Operations on deliveries: taking events in, finding what is due, recording attempts."""

from collections.abc import Callable

from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.event import Event, Instant
from reelhook.ports import DueDeliveries, DueDelivery, StoredEvent
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.rows import DELIVERY, DELIVERY_COLUMNS, delivery_of

# A loose index scan: one step per endpoint that has something waiting, however much that is, so a
# full queue at one endpoint never delays the look at another. The step is written in two halves:
# SQLite uses only the first column of `(lane, endpoint_id) > (...)` for its search, and then walks
# through the whole queue of the endpoint.
_WAITING_ENDPOINTS = """
WITH RECURSIVE first(id) AS (
  SELECT (SELECT id FROM deliveries WHERE due_at IS NOT NULL
          ORDER BY lane, endpoint_id, due_at LIMIT 1)
  UNION ALL
  SELECT coalesce(
    (SELECT n.id FROM deliveries n
     WHERE n.due_at IS NOT NULL AND n.lane = d.lane AND n.endpoint_id > d.endpoint_id
     ORDER BY n.endpoint_id, n.due_at LIMIT 1),
    (SELECT n.id FROM deliveries n WHERE n.due_at IS NOT NULL AND n.lane > d.lane
     ORDER BY n.lane, n.endpoint_id, n.due_at LIMIT 1))
  FROM first JOIN deliveries d ON d.id = first.id
)
SELECT d.lane, d.endpoint_id, d.due_at FROM first JOIN deliveries d ON d.id = first.id
"""

_DUE_AT_ENDPOINT = f"""
SELECT {DELIVERY}, e.id, e.body FROM deliveries d
JOIN events e ON e.job_id = d.job_id
  AND e.sequence = coalesce(d.status_sequence, d.progress_sequence)
WHERE d.lane = ?1 AND d.endpoint_id = ?2 AND d.due_at IS NOT NULL AND d.due_at <= ?3
ORDER BY d.due_at LIMIT ?4
"""

_NEXT_AT_ENDPOINT = """
SELECT min(due_at) FROM deliveries WHERE lane = ?1 AND endpoint_id = ?2 AND due_at > ?3
"""

_MOVE = """
UPDATE deliveries SET status_sequence = ?2, progress_sequence = ?3, attempts = ?4, due_at = ?5,
  ended = ?6 WHERE id = ?1
"""


def offer(event: Event) -> Operation[None]:
    """Put a new event before every delivery of its job."""
    rows = yield Statement(
        f"SELECT {DELIVERY} FROM deliveries d WHERE d.job_id = ?1",
        (event.job_id,),
    )
    for row in rows:
        delivery = delivery_of(row)
        yield from _move(delivery, delivery.offer(event.sequence, event.kind, event.occurred_at))


def due(
    now: Instant, per_endpoint: int, limit: int, busy: frozenset[str]
) -> Operation[DueDeliveries]:
    """Return the oldest due deliveries of every endpoint that is not busy."""
    endpoints = yield Statement(_WAITING_ENDPOINTS)
    found: list[DueDelivery] = []
    later: list[Instant] = []
    for lane, endpoint, due_at in endpoints:
        if due_at > now:
            later.append(due_at)
            continue
        # Behind what is due, and maybe under way for long, a retry of another job may be next.
        rows = yield Statement(_NEXT_AT_ENDPOINT, (lane, endpoint, now))
        later += [row[0] for row in rows if row[0] is not None]
        if endpoint not in busy and len(found) < limit:
            rows = yield Statement(_DUE_AT_ENDPOINT, (lane, endpoint, now, per_endpoint))
            found.extend(_due_delivery(row) for row in rows)
    return DueDeliveries(tuple(found[:limit]), min(later, default=None))


def _due_delivery(row: tuple[object, ...]) -> DueDelivery:
    delivery = delivery_of(row)
    event_id, body = row[len(DELIVERY_COLUMNS) :]
    sequence = delivery.next_sequence
    if sequence is None or not isinstance(body, bytes):  # the join found the event by it
        raise TypeError(row)
    return DueDelivery(delivery, StoredEvent(str(event_id), delivery.job_id, sequence, body))


def settle(attempt: Attempt, decide: Callable[[Delivery], Delivery]) -> Operation[Delivery]:
    """Record an attempt and move its delivery's cursor."""
    rows = yield Statement(
        f"SELECT {DELIVERY} FROM deliveries d WHERE d.id = ?1",
        (attempt.delivery_id,),
    )
    delivery = delivery_of(rows[0])
    moved = decide(delivery)
    yield from _move(delivery, moved)
    answer = attempt.answer
    yield Statement(
        "INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,"
        " http_status, error, detail, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
        ),
    )
    return moved


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
                after.ended,
            ),
        )


def waiting() -> Operation[int]:
    """Return the number of deliveries with something to send."""
    rows = yield Statement("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")
    return int(rows[0][0])
