"""Operations that read deliveries, their attempts, and the events that never arrived."""

from collections.abc import Sequence
from typing import Any

from reelhook.domain.delivery import Attempt, UndeliveredReason, WebhookResponse
from reelhook.domain.errors import DeliveryNotFoundError
from reelhook.ports import DeliveryFilter, DeliveryPage, SentBody, StoredDelivery, Undelivered
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.rows import DELIVERY, DELIVERY_COLUMNS, delivery_of

_ATTEMPT = (
    "a.delivery_id, a.event_id, a.sequence, a.number, a.started_at, a.duration_ms, a.http_status,"
    " a.error, a.detail, a.answer, a.probe"
)
_STORED_DELIVERY = f"""
SELECT {DELIVERY}, CASE WHEN d.url = '' THEN e.url ELSE d.url END, {_ATTEMPT}
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
LEFT JOIN attempts a ON a.id = (SELECT max(l.id) FROM attempts l WHERE l.delivery_id = d.id)
"""
# A resend has the body that its first delivery had.
_SENT = """
SELECT e.sequence, e.id, coalesce(b.body, e.body), b.format, d.secret IS NOT NULL
FROM deliveries d JOIN events e ON e.job_id = d.job_id AND e.sequence = ?2
LEFT JOIN event_bodies b ON b.delivery_id = coalesce(d.resend_of, d.id) AND b.sequence = e.sequence
WHERE d.id = ?1
"""
_IDS = "SELECT d.id FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id"
_STATES = {
    "waiting": "d.due_at IS NOT NULL",
    "delivered": "d.outcome = 'delivered' AND d.due_at IS NULL AND NOT d.ended",
    "failed": "d.outcome = 'exhausted' AND d.due_at IS NULL AND NOT d.ended",
    "ended": "d.ended",
}


def page(wanted: DeliveryFilter, limit: int, cursor: int | None) -> Operation[DeliveryPage]:
    """Return a page of deliveries, newest first; the cursor is the last delivery's id."""
    clauses = ["TRUE"] if wanted.state is None else [_STATES[wanted.state]]
    parameters: list[Any] = [limit + 1]
    for clause, value in (
        ("d.job_id = ?", wanted.job_id),
        ("d.endpoint_id = ?", wanted.endpoint_id),
        ("e.project = ?", wanted.project),
        ("d.id < ?", cursor),
    ):
        if value is not None:
            parameters.append(value)
            clauses.append(f"{clause}{len(parameters)}")
    chosen = f"WHERE {' AND '.join(clauses)} ORDER BY d.id DESC LIMIT ?1"
    if wanted.project is not None:
        # Chosen by an index of ids: a project may have many deliveries, and their rows are large.
        chosen = f"WHERE d.id IN ({_IDS} {chosen}) ORDER BY d.id DESC"
    rows = yield Statement(f"{_STORED_DELIVERY} {chosen}", parameters)
    listed = tuple(_stored_delivery(row) for row in rows[:limit])
    return DeliveryPage(listed, listed[-1].delivery.id if len(rows) > limit else None)


def delivery(delivery_id: int, *, project: str | None = None) -> Operation[StoredDelivery]:
    """Return one delivery. Raises `DeliveryNotFoundError`."""
    rows = yield Statement(
        f"{_STORED_DELIVERY} WHERE d.id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR e.project = ?2)",
        (delivery_id, project),
    )
    if not rows:
        raise DeliveryNotFoundError(delivery_id)
    return _stored_delivery(rows[0])


def attempts(delivery_id: int, limit: int) -> Operation[list[Attempt]]:
    """Return a delivery's attempts and those of its resends, newest first."""
    rows = yield Statement(
        # With an OR in place of the UNION, PostgreSQL reads all attempts from the newest on.
        f"SELECT {_ATTEMPT} FROM attempts a WHERE a.delivery_id IN (SELECT CAST(?1 AS BIGINT)"
        " UNION ALL SELECT id FROM deliveries WHERE resend_of = ?1) ORDER BY a.id DESC LIMIT ?2",
        (delivery_id, limit),
    )
    return [_attempt(row) for row in rows]


def sent_bodies(delivery_id: int, sequences: Sequence[int]) -> Operation[list[SentBody]]:
    """Return the bodies that a delivery sends for these events; none of those that are removed."""
    found = yield from concurrently([query(_SENT, (delivery_id, one)) for one in sequences])
    return [
        SentBody(sequence, event_id, body, body_format, own_secret=bool(own_secret))
        for rows in found
        for sequence, event_id, body, body_format, own_secret in rows
        if body
    ]


def undelivered(delivery_id: int) -> Operation[list[Undelivered]]:
    """Return the events that never arrived through this delivery, in order."""
    rows = yield Statement(
        "SELECT sequence, fate, at FROM undelivered u WHERE delivery_id = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.delivery_id = u.delivery_id"
        "  AND a.sequence = u.sequence AND a.http_status BETWEEN 200 AND 299) ORDER BY sequence",
        (delivery_id,),
    )
    return [Undelivered(sequence, UndeliveredReason(reason), at) for sequence, reason, at in rows]


def _stored_delivery(row: Sequence[Any]) -> StoredDelivery:
    url, *attempt = row[len(DELIVERY_COLUMNS) :]
    last = None if attempt[0] is None else _attempt(attempt)
    return StoredDelivery(delivery_of(row), url, last)


def _attempt(row: Sequence[Any]) -> Attempt:
    delivery_id, event_id, sequence, number, started_at, duration_ms, *result, probe = row
    status, error, detail, body = result
    response = WebhookResponse(duration_ms, status, error, detail, body)
    return Attempt(delivery_id, event_id, sequence, number, started_at, response, bool(probe))
