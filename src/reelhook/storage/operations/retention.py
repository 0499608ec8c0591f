"""Operations that remove old records, in small batches, oldest first.

They scan indexes that exist for reads, so age needs no extra index and no extra write. A job's
other rows are removed by the cascades of the schema.
"""

from collections.abc import Sequence
from typing import Any

from reelhook.domain.event import Instant
from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.ports import Position, Removal
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations import costs, removal, reservations

JOBS_SCANNED = 64
ROWS_MAX = 400
"""The approximate number of rows that one batch removes: a few milliseconds of work."""
ATTEMPTS_SCANNED = 200
ENDPOINTS_SCANNED = 200

_ROWS = """
1 + (SELECT count(*) FROM events e WHERE e.job_id = jobs.id)
  + (SELECT count(*) FROM deliveries d WHERE d.job_id = jobs.id)
  + (SELECT count(*) FROM deliveries d JOIN attempts a ON a.delivery_id = d.id
     WHERE d.job_id = jobs.id)
"""
# A file or a check that nobody has looked at since is of an account that is gone, or nothing is
# archived.
_NEEDED = """
EXISTS (SELECT 1 FROM deliveries d WHERE d.job_id = jobs.id AND d.due_at IS NOT NULL)
  OR EXISTS (SELECT 1 FROM archive f
    WHERE f.job_id = jobs.id AND f.state = 'waiting' AND f.due_at >= ?1)
  OR EXISTS (SELECT 1 FROM late_checks c WHERE c.job_id = jobs.id AND c.due_at >= ?1)
"""
_JOBS = f"""
SELECT id, created_at,
  status IN ('completed', 'failed', 'canceled') AND updated_at < ?1
    AND (updated_at < ?2 OR NOT ({_NEEDED})),
  {_ROWS},
  EXISTS (SELECT 1 FROM archive f WHERE f.job_id = jobs.id
    AND (f.state = 'stored' OR (f.state = 'waiting' AND f.due_at >= ?1)))
FROM jobs WHERE created_at < ?1 AND (created_at, id) > (?3, ?4) ORDER BY created_at, id LIMIT ?5
"""
_OF_PROJECT = f"""
SELECT id, created_at, TRUE, {_ROWS}, FALSE
FROM jobs WHERE project = ?1 ORDER BY created_at, id LIMIT ?2
"""
# A job with more rows than a batch may remove is first emptied piece by piece.
_SOME_ATTEMPTS = """
DELETE FROM attempts WHERE id IN (SELECT a.id FROM deliveries d
  JOIN attempts a ON a.delivery_id = d.id WHERE d.job_id = ?1 LIMIT ?2) RETURNING 1
"""
_SOME_RESENDS = """
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries
  WHERE job_id = ?1 AND resend_of IS NOT NULL LIMIT ?2) RETURNING 1
"""
_ATTEMPTS = "SELECT id, started_at FROM attempts WHERE id > ?1 ORDER BY id LIMIT ?2"
# A successful attempt overrides its event's row in `undelivered`, so both are removed together.
_ARRIVED = """
DELETE FROM undelivered WHERE EXISTS (SELECT 1 FROM attempts a
  WHERE a.id IN ({ids}) AND a.http_status BETWEEN 200 AND 299
    AND a.delivery_id = undelivered.delivery_id AND a.sequence = undelivered.sequence)
  AND delivery_id IN (SELECT delivery_id FROM attempts a WHERE a.id IN ({ids}))
"""
_RESENDS = """
DELETE FROM resends WHERE id IN (SELECT id FROM resends WHERE finished_at < ?1 LIMIT ?2) RETURNING 1
"""
_UNUSED = """
NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint_id = endpoints.id)
"""
_ENDPOINTS = f"""
SELECT id, created_at < ?1 AND (deleted_at < ?1 OR kind = 'url')
  AND coalesce(disabled, '') <> 'operator' AND {_UNUSED}
FROM endpoints WHERE id > ?2 ORDER BY id LIMIT ?3
"""


def jobs(position: Position, ended_before: Instant, waiting_before: Instant) -> Operation[Removal]:
    """Remove the next old jobs; see `RetentionStore.remove_jobs`.

    A job whose webhooks wait, whose file is still being fetched, or that is looked at once more
    stays until `waiting_before`. A job whose file is in the archive, or is still tried then, is
    kept without its events, deliveries and attempts.
    """
    created_at, job_id = position or (-1, "")
    rows = yield Statement(_JOBS, (ended_before, waiting_before, created_at, job_id, JOBS_SCANNED))
    doomed, passed = _fitting(rows)
    if passed < len(rows) and not doomed:
        if (yield from _emptied(rows[passed][0])):
            return Removal(0, _after(rows[:passed]) or position)
        doomed, passed = [rows[passed][0]], passed + 1
    if doomed:
        yield from _spend_reserved(doomed)
        kept = {row[0] for row in rows if row[4]}
        removed = [job_id for job_id in doomed if job_id not in kept]
        yield from removal.release(removed, ended_before)
        yield from _remove(removed)
        yield from _forget_history([job_id for job_id in doomed if job_id in kept])
    at_end = passed == len(rows) < JOBS_SCANNED
    return Removal(len(doomed), None if at_end else _after(rows[:passed]))


def _remove(job_ids: Sequence[str]) -> Operation[None]:
    if job_ids:
        yield Statement(f"DELETE FROM jobs WHERE id IN ({_placeholders(job_ids)})", job_ids)


def _forget_history(job_ids: Sequence[str]) -> Operation[None]:
    for table in ("deliveries", "events") if job_ids else ():
        places = _placeholders(job_ids)
        yield Statement(f"DELETE FROM {table} WHERE job_id IN ({places})", job_ids)


def jobs_of(project: str, now: Instant) -> Operation[bool]:
    """Remove the next jobs of a project, whatever their state; their costs stay as sums.

    Return False if there were none.
    """
    rows = yield Statement(_OF_PROJECT, (project, JOBS_SCANNED))
    doomed, _ = _fitting(rows)
    if rows and not doomed:
        if (yield from _emptied(rows[0][0])):
            return True
        doomed = [rows[0][0]]
    if doomed:
        yield from costs.keep(doomed)
        yield from _spend_reserved(doomed)
        yield from removal.release(doomed, now)
        yield from _remove(doomed)
    return bool(doomed)


def _fitting(rows: Sequence[Row]) -> tuple[list[str], int]:
    """Return the jobs to remove that one batch has room for, and the number of rows before that."""
    doomed, passed, left = [], 0, ROWS_MAX
    for job_id, _, removable, size, kept in rows:
        if removable and not (kept and size == 1):  # nothing is left but the job itself
            if size > left:
                break
            left -= size
            doomed.append(job_id)
        passed += 1
    return doomed, passed


def _spend_reserved(job_ids: Sequence[str]) -> Operation[None]:
    """Count what unresolved jobs have reserved as spent: nobody can find out any more."""
    rows = yield Statement(
        f"SELECT DISTINCT job_id FROM reservations WHERE job_id IN ({_placeholders(job_ids)})",
        job_ids,
    )
    for (job_id,) in rows:
        yield from reservations.settle(job_id, Bill(BillOutcome.SPENT))


def _emptied(job_id: str) -> Operation[bool]:
    """Remove some rows of a large job. Return False if there were none."""
    for statement in (_SOME_ATTEMPTS, _SOME_RESENDS):
        if (yield Statement(statement, (job_id, ROWS_MAX))):
            return True
    return False


def _after(rows: Sequence[Row]) -> Position:
    return (rows[-1][1], rows[-1][0]) if rows else ()


def attempts(position: Position, before: Instant) -> Operation[Removal]:
    """Remove the next old attempts. Their ids rise with time."""
    rows = yield Statement(_ATTEMPTS, (position[0] if position else 0, ATTEMPTS_SCANNED))
    ids = [row[0] for row in rows if row[1] < before]
    if not ids:
        return Removal(0, None)
    placeholders = _placeholders(ids)
    yield Statement(_ARRIVED.format(ids=placeholders), ids)
    yield Statement(f"DELETE FROM attempts WHERE id IN ({placeholders})", ids)
    return Removal(len(ids), (rows[-1][0],))


def resends(before: Instant) -> Operation[Removal]:
    """Remove old runs of resends."""
    rows = yield Statement(_RESENDS, (before, ROWS_MAX))
    return Removal(len(rows), () if len(rows) == ROWS_MAX else None)


def unused_endpoints(
    position: Position, before: Instant
) -> Operation[tuple[list[str], Position | None]]:
    """Return the next endpoints that may be removed, and where the next batch begins."""
    rows = yield Statement(_ENDPOINTS, (before, position[0] if position else "", ENDPOINTS_SCANNED))
    following = (rows[-1][0],) if len(rows) == ENDPOINTS_SCANNED else None
    return [row[0] for row in rows if row[1]], following


def endpoints(ids: Sequence[str]) -> Operation[int]:
    """Remove the endpoints that are still unused. Return their number.

    No one else may write to the table at the same time: the transaction of a new job finds its
    endpoint and then adds a delivery that is invisible to others until it commits.
    """
    rows = yield Statement(
        f"DELETE FROM endpoints WHERE id IN ({_placeholders(ids)}) AND {_UNUSED} RETURNING 1", ids
    )
    return len(rows)


def _placeholders(values: Sequence[Any]) -> str:
    return ", ".join(f"?{number}" for number in range(1, len(values) + 1))
