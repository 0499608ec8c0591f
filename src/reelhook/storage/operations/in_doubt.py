"""Operations on unresolved submissions: jobs that a provider may or may not have accepted."""

from collections.abc import Sequence

from reelhook.domain.audit import AuditEntry
from reelhook.domain.endpoint import EndpointKind
from reelhook.domain.errors import UnknownCursorError
from reelhook.domain.event import Instant
from reelhook.domain.job import Status
from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.ports import Destination, JobPage, StoredJob
from reelhook.storage.operation import Operation, Row, Statement, concurrently, query
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations import reservations
from reelhook.storage.operations.ownership import of_job_in_project, of_project
from reelhook.storage.operations.rows import LISTED_JOB, STORED_JOB, page_of, stored_job_of

_OPEN = "code = 'submission_unknown' AND doubt_closed_at IS NULL"
_LOOKED_UP = "status = 'submitting' AND doubt_since IS NOT NULL"


def page(limit: int, cursor: str | None, project: str | None = None) -> Operation[JobPage]:
    """Return a page of the unresolved jobs.

    Jobs that ended unresolved come first, then those still being looked up, each oldest first. The
    cursor is the last job's id.
    """
    start, looked_up = (0, ""), False
    if cursor is not None:
        owned, owner = of_project(project, 2)
        rows = yield Statement(
            f"SELECT created_at, id, status FROM jobs WHERE id = ?1{owned}", (cursor, *owner)
        )
        if not rows:
            raise UnknownCursorError
        start, looked_up = (rows[0][0], rows[0][1]), rows[0][2] == Status.SUBMITTING
    found: list[Row] = []
    owned, owner = of_project(project, 4)
    for where, number in ((_OPEN, 0), (_LOOKED_UP, 1)):
        if number == looked_up:
            after = start
        elif number < looked_up:
            continue
        else:
            after = (0, "")
        found += yield Statement(
            f"SELECT {LISTED_JOB} FROM jobs WHERE {where} AND (created_at, id) > (?1, ?2){owned}"
            " ORDER BY created_at, id LIMIT ?3",
            (*after, limit + 1 - len(found), *owner),
        )
    return page_of(found, limit)


def close_doubt(
    job_id: str,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> Operation[bool]:
    """Record that a person has settled the doubt. Return False if there was none to settle."""
    owned, owner = of_project(project, 3)
    rows = yield Statement(
        "UPDATE jobs SET doubt_closed_at = ?2, version = version + 1 WHERE id = ?1"
        f" AND code = 'submission_unknown' AND doubt_closed_at IS NULL{owned} RETURNING id",
        (job_id, now, *owner),
    )
    if rows and audit is not None:
        yield from trail.add(audit)
    return bool(rows)


def abandon(
    job_id: str,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> Operation[bool]:
    """Close the doubt of a job that no provider has. Its budgets get back what it has reserved."""
    closed = yield from close_doubt(job_id, now, audit, project=project)
    if closed:
        yield from reservations.settle(job_id, Bill(BillOutcome.RELEASED))
    return closed


def destinations(job_id: str, project: str | None = None) -> Operation[list[Destination]]:
    """Return the destinations of a job's events."""
    owned, owner = of_job_in_project(project, 2, "d.job_id")
    rows = yield Statement(
        "SELECT d.endpoint_id, d.url, d.secret, d.format, e.kind FROM deliveries d JOIN endpoints e"
        f" ON e.id = d.endpoint_id WHERE d.job_id = ?1 AND d.resend_of IS NULL{owned}"
        " ORDER BY d.id",
        (job_id, *owner),
    )
    return [
        Destination(endpoint_id, url if kind == EndpointKind.URL else None, *own)
        for endpoint_id, url, *own, kind in rows
    ]


def of_provider(accounts: Sequence[str], provider_job_id: str) -> Operation[StoredJob | None]:
    """Return the job of one of these accounts with this provider job id."""
    found = yield from concurrently(
        [
            query(
                f"SELECT {STORED_JOB} FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
                (account, provider_job_id),
            )
            for account in accounts
        ]
    )
    return next((stored_job_of(rows[0]) for rows in found if rows), None)
