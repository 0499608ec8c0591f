"""Operations that read jobs and their events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reelhook.domain.errors import JobNotFoundError, UnknownCursorError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.ports import JobFilter, JobPage, StoredEvent, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.ownership import of_project
from reelhook.storage.operations.rows import (
    LISTED_JOB,
    STATE,
    STORED_JOB,
    job_of,
    page_of,
    stored_job_of,
)


def job(job_id: str, project: str | None = None) -> Operation[StoredJob]:
    """Return one job. Raises `JobNotFoundError`."""
    owned, owner = of_project(project, 2)
    rows = yield Statement(f"SELECT {STORED_JOB} FROM jobs WHERE id = ?1{owned}", (job_id, *owner))
    if not rows:
        raise JobNotFoundError(job_id)
    return stored_job_of(rows[0])


def page(wanted: JobFilter, limit: int, cursor: str | None) -> Operation[JobPage]:
    """Return a page of jobs, newest first; the cursor is the last job's id."""
    clauses: list[str] = []
    parameters: list[Any] = [limit + 1]
    for column, value in _conditions(wanted):
        parameters.append(value)
        clauses.append(f"{column} = ?{len(parameters)}")
    if cursor is not None:
        parameters.extend((yield from _position_of(cursor, wanted.project)))
        clauses.append(f"(created_at, id) < (?{len(parameters) - 1}, ?{len(parameters)})")
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs{where} ORDER BY created_at DESC, id DESC LIMIT ?1",
        parameters,
    )
    return page_of(rows, limit)


def _conditions(wanted: JobFilter) -> Iterator[tuple[str, str]]:
    if wanted.project is not None:
        yield "project", wanted.project
    if wanted.status is not None:
        yield "status", wanted.status.value


def _position_of(cursor: str, project: str | None) -> Operation[tuple[Instant, str]]:
    owned, owner = of_project(project, 2)
    rows = yield Statement(
        f"SELECT created_at, id FROM jobs WHERE id = ?1{owned}", (cursor, *owner)
    )
    if not rows:
        raise UnknownCursorError
    return rows[0][0], rows[0][1]


def current(job_ids: Sequence[str]) -> Operation[list[Job]]:
    """Return the current state of these jobs."""
    found = yield from concurrently(
        [query(f"SELECT {STATE} FROM jobs WHERE id = ?1", (job_id,)) for job_id in job_ids]
    )
    return [job_of(row) for rows in found for row in rows]


def events(
    job_ids: Sequence[str], after: Mapping[str, int], project: str | None = None
) -> Operation[list[StoredEvent]]:
    """Return these jobs' events after the given sequences, in order."""
    owned, owner = of_project(project, 3)
    found = yield from concurrently(
        [
            query(
                "SELECT id, job_id, sequence, body FROM events"
                f" WHERE job_id = ?1 AND sequence > ?2{owned} ORDER BY sequence",
                (job_id, after.get(job_id, 0), *owner),
            )
            for job_id in job_ids
        ]
    )
    return [StoredEvent(*row) for rows in found for row in rows]


def unsubmitted_before(created_before: Instant) -> Operation[list[Job]]:
    """Return jobs created before that time that no provider has accepted."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE status IN ('accepted', 'submitting') AND created_at < ?1",
        (created_before,),
    )
    return [job_of(row) for row in rows]


def unfinished_before(accepted_before: Instant) -> Operation[list[Job]]:
    """Return at most 1,000 unfinished jobs that a provider accepted before that time."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE status IN ('queued', 'processing') AND accepted_at < ?1"
        " ORDER BY accepted_at LIMIT 1000",
        (accepted_before,),
    )
    return [job_of(row) for row in rows]


def counts(project: str | None = None) -> Operation[dict[str, int]]:
    """Return the number of jobs of each status."""
    owned, owner = of_project(project, 1)
    rows = yield Statement(
        f"SELECT status, count(*) FROM jobs WHERE TRUE{owned} GROUP BY status", owner
    )
    return {status.value: 0 for status in Status} | {row[0]: row[1] for row in rows}
