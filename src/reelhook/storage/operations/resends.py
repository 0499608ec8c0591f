"""Operations that send events again: a single one, or all that failed in a period."""

from collections.abc import Sequence
from dataclasses import replace

from reelhook.domain.audit import AuditEntry, Value
from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import DEFAULT_FORMAT, lane_of
from reelhook.domain.errors import (
    DeliveryNotFoundError,
    EndpointNotFoundError,
    ResendNotFoundError,
    UnknownEventError,
)
from reelhook.domain.event import EventKind, Instant
from reelhook.ports import FailedEvents, Lease, Resend
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations.delivery_log import delivery
from reelhook.storage.operations.endpoint_wakeups import wake
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import DELIVERY, delivery_of

FAILED_COUNTED = 10_000
"""The number of failed events among which those of one endpoint are counted: the newest."""
_RESEND = "id, since, until, endpoint_id, resent, finished_at, project"
# Events that failed, were not sent again yet, and whose endpoint still exists. Another process may
# be resending a single one of them.
_FAILED = f"""
SELECT u.sequence, {DELIVERY} FROM undelivered u JOIN deliveries d ON d.id = u.delivery_id
JOIN endpoints e ON e.id = d.endpoint_id AND e.deleted_at IS NULL
WHERE u.fate = 'exhausted' AND u.resent_by IS NULL AND u.at BETWEEN ?1 AND ?2
  AND (CAST(?3 AS TEXT) IS NULL OR d.endpoint_id = ?3)
  AND (CAST(?5 AS TEXT) IS NULL OR e.project = ?5)
ORDER BY u.at, u.delivery_id, u.sequence LIMIT ?4 /*pg FOR UPDATE OF u */
"""
_COUNTED = f"""
WITH failed AS (SELECT delivery_id, sequence FROM undelivered
  WHERE fate = 'exhausted' AND resent_by IS NULL AND at BETWEEN ?1 AND ?2
  ORDER BY at DESC LIMIT {FAILED_COUNTED})
SELECT (SELECT count(*) FROM (
    SELECT DISTINCT coalesce(d.resend_of, d.id), f.sequence FROM failed f
    JOIN deliveries d ON d.id = f.delivery_id
    JOIN endpoints e ON e.id = d.endpoint_id AND e.deleted_at IS NULL
    WHERE d.endpoint_id = ?3 AND (CAST(?4 AS TEXT) IS NULL OR e.project = ?4)) AS counted),
  (SELECT count(*) FROM failed)
"""
_ADD = """
INSERT INTO deliveries
  (job_id, endpoint_id, lane, url, status_sequence, due_at, terminal_at, resend_of, secret)
SELECT job_id, ?2, CAST(?3 AS INTEGER), ?4, sequence, CAST(?6 AS BIGINT),
  CASE WHEN kind = ?7 THEN occurred_at END, CAST(?8 AS BIGINT),
  (SELECT secret FROM deliveries WHERE id = CAST(?8 AS BIGINT))
FROM events WHERE job_id = ?1 AND sequence = ?5
RETURNING id
"""
_FORMAT = """
SELECT coalesce(d.format, e.format) FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
WHERE d.id = ?1 /*pg FOR KEY SHARE OF d */
"""
# An event that was written before the format was chosen has no other body than the default one.
_OFFERED = """
SELECT max(sequence) FROM (
  SELECT sequence FROM event_bodies WHERE delivery_id = ?1
  UNION ALL SELECT sequence FROM attempts WHERE delivery_id = ?1
  UNION ALL SELECT sequence FROM undelivered WHERE delivery_id = ?1
  UNION ALL SELECT delivered_sequence FROM deliveries WHERE id = ?1 AND NOT EXISTS
    (SELECT 1 FROM event_bodies WHERE delivery_id = ?1)) AS offered
WHERE CAST(?2 AS INTEGER) IS NULL OR sequence = ?2
"""
# The newest resend replaces the delivery and all of its earlier resends.
_MARK = """
UPDATE undelivered SET resent_by = ?3 WHERE sequence = ?2
  AND (delivery_id = ?1 OR delivery_id IN (SELECT id FROM deliveries WHERE resend_of = ?1))
"""


def resend_one(
    delivery_id: int,
    sequence: int | None,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> Operation[Delivery]:
    """Add a delivery that repeats one event of an earlier one, out of order."""
    known = (yield from delivery(delivery_id, project=project)).delivery
    if not (yield from wake(known.endpoint_id, now)):
        raise EndpointNotFoundError(known.endpoint_id)  # it was deleted
    chosen = yield from _reported(known, sequence)
    added = yield from _repeat(known, chosen, now)
    if added is None:
        raise UnknownEventError(known.job_id, chosen)
    if audit is not None:
        rows = yield Statement("SELECT project FROM jobs WHERE id = ?1", (known.job_id,))
        after: dict[str, Value] = {"delivery": added, "jobId": known.job_id, "sequence": chosen}
        yield from trail.add(replace(audit, project=rows[0][0]).changing(None, after))
    return (yield from delivery(added)).delivery


def _reported(known: Delivery, sequence: int | None) -> Operation[int]:
    """Return an event that its format reports: this one, or the newest one if that is None.

    Raises `UnknownEventError` for an event that its format does not report.
    """
    first = known.resend_of or known.id
    rows = yield Statement(_FORMAT, (first,))
    if not rows:
        raise DeliveryNotFoundError(first)  # it was deleted with its job
    body_format = rows[0][0]
    if body_format == DEFAULT_FORMAT:
        if sequence is not None:
            return sequence
        newest = "SELECT max(sequence) FROM events WHERE job_id = ?1"
        rows = yield Statement(newest, (known.job_id,))
    else:
        rows = yield Statement(_OFFERED, (first, sequence))
    found: int | None = rows[0][0]
    if found is None:
        named = None if body_format == DEFAULT_FORMAT else body_format
        raise UnknownEventError(known.job_id, sequence, named)
    return found


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


def count_failed(
    endpoint_id: str, since: Instant, until: Instant, *, project: str | None = None
) -> Operation[FailedEvents]:
    """Count the events that a run over this period would send to an endpoint again."""
    rows = yield Statement(_COUNTED, (since, until, endpoint_id, project))
    [(count, read)] = rows
    return FailedEvents(count, more=read == FAILED_COUNTED)


def start(resend: Resend, audit: AuditEntry | None = None) -> Operation[None]:
    """Store a new run that sends failed events again."""
    if audit is not None:
        yield from trail.add(audit)
    yield Statement(
        "INSERT INTO resends (id, since, until, endpoint_id, project) VALUES (?1, ?2, ?3, ?4, ?5)",
        (resend.id, resend.since, resend.until, resend.endpoint_id, resend.project),
    )


def resend(resend_id: str, *, project: str | None = None) -> Operation[Resend]:
    """Return one run. Raises `ResendNotFoundError`."""
    rows = yield Statement(
        f"SELECT {_RESEND} FROM resends WHERE id = ?1"
        " AND (CAST(?2 AS TEXT) IS NULL OR project = ?2)",
        (resend_id, project),
    )
    if not rows:
        raise ResendNotFoundError(resend_id)
    return Resend(*rows[0])


def unfinished() -> Operation[Sequence[Resend]]:
    """Return the unfinished runs, oldest first."""
    rows = yield Statement(f"SELECT {_RESEND} FROM resends WHERE finished_at IS NULL ORDER BY id")
    return [Resend(*row) for row in rows]


def advance(
    resend_id: str, limit: int, now: Instant, lease: Lease | None = None
) -> Operation[Resend]:
    """Send the next failed events again, each only once: it is marked in the same transaction."""
    run = yield from resend(resend_id)
    if not (yield from holds(lease)):
        return run
    rows = yield Statement(_FAILED, (run.since, run.until, run.endpoint_id, limit, run.project))
    failed = {}  # by first delivery and event: one that failed in several resends is sent once
    for sequence, *columns in rows:
        known = delivery_of(columns)
        failed[known.resend_of or known.id, sequence] = known
    # A deleted endpoint gets nothing. Sorted, because other processes may lock endpoints too.
    existing = set()
    for endpoint_id in sorted({known.endpoint_id for known in failed.values()}):
        if (yield from wake(endpoint_id, now)):
            existing.add(endpoint_id)
    resent = {key: known for key, known in failed.items() if known.endpoint_id in existing}
    for (_, sequence), known in resent.items():
        yield from _repeat(known, sequence, now)
    yield Statement(
        "UPDATE resends SET resent = resent + ?2, finished_at = ?3 WHERE id = ?1",
        (resend_id, len(resent), now if len(rows) < limit else None),
    )
    return (yield from resend(resend_id))
