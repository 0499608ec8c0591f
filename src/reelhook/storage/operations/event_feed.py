"""Operations for reading and repairing: the feed of events, deliveries, attempts, resends."""

from collections.abc import Sequence
from typing import Any

from reelhook.domain.delivery import Attempt, Delivery, UndeliveredReason, WebhookResponse
from reelhook.domain.endpoint import lane_of
from reelhook.domain.errors import (
    DeliveryNotFoundError,
    EndpointNotFoundError,
    ResendNotFoundError,
    UnknownEventError,
    UnknownEventIdError,
)
from reelhook.domain.event import EventKind, Instant, is_event_id
from reelhook.ports import (
    DeliveryFilter,
    DeliveryPage,
    EventPage,
    Lease,
    Resend,
    StoredDelivery,
    StoredEvent,
    Undelivered,
)
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import endpoints
from reelhook.storage.operations.leases import holds
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
_STATES = {
    "waiting": "d.due_at IS NOT NULL",
    "delivered": "d.outcome = 'delivered' AND d.due_at IS NULL AND NOT d.ended",
    "failed": "d.outcome = 'exhausted' AND d.due_at IS NULL AND NOT d.ended",
    "ended": "d.ended",
}
_RESEND = "id, since, until, endpoint_id, resent, finished_at"
# What failed, was not sent anew yet, and whose endpoint is still there. Somebody may be resending
# one of them by itself at this moment.
_FAILED = f"""
SELECT u.sequence, {DELIVERY} FROM undelivered u JOIN deliveries d ON d.id = u.delivery_id
JOIN endpoints e ON e.id = d.endpoint_id AND e.deleted_at IS NULL
WHERE u.fate = 'exhausted' AND u.resent_by IS NULL AND u.at BETWEEN ?1 AND ?2
  AND (CAST(?3 AS TEXT) IS NULL OR d.endpoint_id = ?3)
ORDER BY u.at, u.delivery_id, u.sequence LIMIT ?4 /*pg FOR UPDATE OF u */
"""
_ADD = """
INSERT INTO deliveries
  (job_id, endpoint_id, lane, url, status_sequence, due_at, terminal_at, resend_of)
SELECT job_id, ?2, CAST(?3 AS INTEGER), ?4, sequence, CAST(?6 AS BIGINT),
  CASE WHEN kind = ?7 THEN occurred_at END, CAST(?8 AS BIGINT)
FROM events WHERE job_id = ?1 AND sequence = ?5
RETURNING id
"""
# However often it was tried anew: from now on it is the newest resend's turn.
_MARK = """
UPDATE undelivered SET resent_by = ?3 WHERE sequence = ?2
  AND (delivery_id = ?1 OR delivery_id IN (SELECT id FROM deliveries WHERE resend_of = ?1))
"""


def events_after(event_id: str | None, limit: int) -> Operation[EventPage]:
    """Return events of all jobs in the order of their writing.

    Behind an event that is no longer kept: all that are. Whoever was up to date may come back after
    a quiet month.
    """
    position, restarted = 0, False
    if event_id is not None:
        if not is_event_id(event_id):
            raise UnknownEventIdError
        rows = yield Statement("SELECT position FROM events WHERE id = ?1", (event_id,))
        position, restarted = (rows[0][0], False) if rows else (0, True)
    rows = yield Statement(
        "SELECT id, job_id, sequence, body FROM events WHERE position > ?1"
        " ORDER BY position LIMIT ?2",
        (position, limit + 1),
    )
    events = [StoredEvent(*row) for row in rows[:limit]]
    return EventPage(events, len(rows) > limit, restarted)


def deliveries(wanted: DeliveryFilter, limit: int, cursor: int | None) -> Operation[DeliveryPage]:
    """Return a page of deliveries, newest first; the cursor is the last delivery's id."""
    clauses = ["TRUE"] if wanted.state is None else [_STATES[wanted.state]]
    parameters: list[Any] = [limit + 1]
    for clause, value in (
        ("d.job_id = ?", wanted.job_id),
        ("d.endpoint_id = ?", wanted.endpoint_id),
        ("d.id < ?", cursor),
    ):
        if value is not None:
            parameters.append(value)
            clauses.append(f"{clause}{len(parameters)}")
    rows = yield Statement(
        f"{_STORED_DELIVERY} WHERE {' AND '.join(clauses)} ORDER BY d.id DESC LIMIT ?1",
        parameters,
    )
    page = tuple(_stored_delivery(row) for row in rows[:limit])
    return DeliveryPage(page, page[-1].delivery.id if len(rows) > limit else None)


def delivery(delivery_id: int) -> Operation[StoredDelivery]:
    """Return one delivery. Raises `DeliveryNotFoundError`."""
    rows = yield Statement(f"{_STORED_DELIVERY} WHERE d.id = ?1", (delivery_id,))
    if not rows:
        raise DeliveryNotFoundError(delivery_id)
    return _stored_delivery(rows[0])


def attempts(delivery_id: int, limit: int) -> Operation[list[Attempt]]:
    """Return a delivery's attempts and those of its resends, newest first."""
    rows = yield Statement(
        f"SELECT {_ATTEMPT} FROM attempts a WHERE a.delivery_id = ?1 OR a.delivery_id IN"
        " (SELECT id FROM deliveries WHERE resend_of = ?1) ORDER BY a.id DESC LIMIT ?2",
        (delivery_id, limit),
    )
    return [_attempt(row) for row in rows]


def undelivered(delivery_id: int) -> Operation[list[Undelivered]]:
    """Return the events that never arrived by this delivery, in order."""
    rows = yield Statement(
        "SELECT sequence, fate, at FROM undelivered u WHERE delivery_id = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.delivery_id = u.delivery_id"
        "  AND a.sequence = u.sequence AND a.http_status BETWEEN 200 AND 299) ORDER BY sequence",
        (delivery_id,),
    )
    return [Undelivered(sequence, UndeliveredReason(fate), at) for sequence, fate, at in rows]


# -- resends --------------------------------------------------------------------------------------


def resend_one(delivery_id: int, sequence: int | None, now: Instant) -> Operation[Delivery]:
    """Add a delivery that repeats one event of an earlier one, outside its order."""
    known = (yield from delivery(delivery_id)).delivery
    if not (yield from endpoints.wake(known.endpoint_id, now)):
        raise EndpointNotFoundError(known.endpoint_id)  # nothing goes to one that was deleted
    if sequence is None:
        rows = yield Statement(
            "SELECT max(sequence) FROM events WHERE job_id = ?1", (known.job_id,)
        )
        sequence = rows[0][0]
    added = None if sequence is None else (yield from _repeat(known, sequence, now))
    if added is None:
        raise UnknownEventError(known.job_id, sequence)
    return (yield from delivery(added)).delivery


def _repeat(known: Delivery, sequence: int, now: Instant) -> Operation[int | None]:
    first = known.resend_of or known.id
    rows = yield Statement(
        _ADD,
        (
            known.job_id,
            known.endpoint_id,
            lane_of(known.endpoint_id),
            known.url or "",
            sequence,
            now,
            EventKind.TERMINAL.value,
            first,
        ),
    )
    if not rows:
        return None
    yield Statement(_MARK, (first, sequence, rows[0][0]))
    return int(rows[0][0])


def start(resend: Resend) -> Operation[None]:
    """Store that all failed shall be sent anew."""
    yield Statement(
        "INSERT INTO resends (id, since, until, endpoint_id) VALUES (?1, ?2, ?3, ?4)",
        (resend.id, resend.since, resend.until, resend.endpoint_id),
    )


def resend(resend_id: str) -> Operation[Resend]:
    """Return one. Raises `ResendNotFoundError`."""
    rows = yield Statement(f"SELECT {_RESEND} FROM resends WHERE id = ?1", (resend_id,))
    if not rows:
        raise ResendNotFoundError(resend_id)
    return Resend(*rows[0])


def unfinished() -> Operation[Sequence[Resend]]:
    """Return what is still to be sent anew, oldest first."""
    rows = yield Statement(f"SELECT {_RESEND} FROM resends WHERE finished_at IS NULL ORDER BY id")
    return [Resend(*row) for row in rows]


def advance(
    resend_id: str, limit: int, now: Instant, lease: Lease | None = None
) -> Operation[Resend]:
    """Send anew the next failed events. Each is marked in the same transaction: once is enough."""
    run = yield from resend(resend_id)
    if not (yield from holds(lease)):
        return run
    rows = yield Statement(_FAILED, (run.since, run.until, run.endpoint_id, limit))
    failed = {}  # by event and place: of an event that failed anew several times one is sent
    for sequence, *columns in rows:
        known = delivery_of(columns)
        failed[known.resend_of or known.id, sequence] = known
    # One that was deleted meanwhile gets nothing; in one order, since others may lock them too.
    there = set()
    for endpoint_id in sorted({known.endpoint_id for known in failed.values()}):
        if (yield from endpoints.wake(endpoint_id, now)):
            there.add(endpoint_id)
    resent = {key: known for key, known in failed.items() if known.endpoint_id in there}
    for (_, sequence), known in resent.items():
        yield from _repeat(known, sequence, now)
    yield Statement(
        "UPDATE resends SET resent = resent + ?2, finished_at = ?3 WHERE id = ?1",
        (resend_id, len(resent), now if len(rows) < limit else None),
    )
    return (yield from resend(resend_id))


def _stored_delivery(row: Sequence[Any]) -> StoredDelivery:
    url, *attempt = row[len(DELIVERY_COLUMNS) :]
    last = None if attempt[0] is None else _attempt(attempt)
    return StoredDelivery(delivery_of(row), url, last)


def _attempt(row: Sequence[Any]) -> Attempt:
    delivery_id, event_id, sequence, number, started_at, duration_ms, *answered, probe = row
    status, error, detail, body = answered
    answer = WebhookResponse(duration_ms, status, error, detail, body)
    return Attempt(delivery_id, event_id, sequence, number, started_at, answer, bool(probe))
