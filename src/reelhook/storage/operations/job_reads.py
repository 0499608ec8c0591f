"""Operations that read jobs and their events."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reelhook.domain.causes.cause import Thing
from reelhook.domain.errors import JobNotFoundError, UnknownCursorError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.ports import SCANNED_MAX, JobFilter, JobPage, StoredEvent, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.held_webhooks import ANY_OF_JOB
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
    rows = yield Statement(
        f"SELECT {STORED_JOB}, {ANY_OF_JOB} FROM jobs WHERE id = ?1 AND deleted_at IS NULL{owned}",
        (job_id, *owner),
    )
    if not rows:
        raise JobNotFoundError(job_id)
    *row, held = rows[0]
    return stored_job_of(row, webhooks_held=bool(held))


class _Where:
    """Conditions of a statement, with their numbered parameters."""

    def __init__(self, *parameters: Any) -> None:
        self.parameters = list(parameters)
        self._clauses: list[str] = []

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition that has `{}` in the place of each value."""
        first = len(self.parameters) + 1
        self.parameters += values
        numbers = (f"?{first + index}" for index in range(len(values)))
        self._clauses.append(condition.format(*numbers))

    def __str__(self) -> str:
        """Return the conditions as SQL."""
        return f" WHERE {' AND '.join(self._clauses)}" if self._clauses else ""


def page(wanted: JobFilter, limit: int, cursor: str | None) -> Operation[JobPage]:
    """Return a page of jobs, newest first by default; the cursor is the last job's id."""
    where = _Where(limit + 1)
    if len(wanted.metadata) > 1:
        wanted = replace(wanted, metadata=(yield from _rarest_first(wanted.metadata)))
    driver = _driver(wanted)
    labelled = driver == "metadata"
    created_at, job_id = "jobs.created_at", "jobs.id"
    if labelled:
        created_at, job_id = "labelled_at", "labelled_id"
    for condition, values in _conditions(wanted, driver, created_at, job_id):
        where.add(condition, *values)
    if cursor is not None:
        position = yield from _position_of(cursor, wanted.project)
        beyond = ">" if wanted.oldest_first else "<"
        where.add(f"({created_at}, {job_id}) {beyond} ({{}}, {{}})", *position)
    source = _LABELLED if labelled else "jobs"
    order = "ASC" if wanted.oldest_first else "DESC"
    ordered = f"ORDER BY {created_at} {order}, {job_id} {order}"
    scanned = list(_scanned(wanted))
    last = None
    if scanned:
        within = yield Statement(
            f"SELECT {created_at}, {job_id} FROM {source}{where} {ordered} LIMIT 1 OFFSET ?1",
            [SCANNED_MAX - 1, *where.parameters[1:]],
        )
        last = within[0] if within else None
    if last is not None:
        up_to = "<=" if wanted.oldest_first else ">="
        where.add(f"({created_at}, {job_id}) {up_to} ({{}}, {{}})", *last)
    for condition, values in scanned:
        where.add(condition, *values)
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM {source}{where} {ordered} LIMIT ?1", where.parameters
    )
    found = page_of(rows, limit)
    # Jobs beyond the last one that was looked at may match too.
    return replace(found, next_cursor=found.next_cursor or (None if last is None else last[1]))


def _scanned(wanted: JobFilter) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Iterate over the conditions that no index has."""
    if wanted.account is not None:
        yield "account = {}", (wanted.account,)
    if wanted.endpoint_id is not None:
        # Changed, so that the index of the endpoint, which may have all jobs, is not used.
        sent = "SELECT 1 FROM deliveries d WHERE d.job_id = jobs.id AND d.endpoint_id || '' = {}"
        yield f"EXISTS ({sent})", (wanted.endpoint_id,)
    if wanted.waits is not None:
        yield _WAITS[wanted.waits], ()
    if wanted.text is not None:
        title = re.sub(r"([!%_])", r"!\1", wanted.text.lower())
        yield (
            "(lower(title) LIKE {} ESCAPE '!' OR substr(jobs.id, 1, {}) = {})",
            (f"%{title}%", len(wanted.text), wanted.text),
        )


_WAITS = {
    Thing.JOBS: "status IN ('accepted', 'submitting', 'queued', 'processing')",
    Thing.WEBHOOKS: "EXISTS (SELECT 1 FROM deliveries d WHERE d.job_id = jobs.id"
    " AND (d.due_at IS NOT NULL OR d.outcome || '' = 'exhausted'))",
    Thing.FILES: "EXISTS (SELECT 1 FROM archive f WHERE f.job_id = jobs.id"
    " AND f.state || '' = 'waiting')",
}
_COUNTED_MAX = 5000
_LABELLED = (
    "(SELECT name AS label, value AS text, created_at AS labelled_at, job_id AS labelled_id,"
    " project AS labelled_project FROM job_metadata) AS labelled JOIN jobs ON id = labelled_id"
)
# PostgreSQL would turn EXISTS into a join, and read all jobs with this metadata first. It expects
# most values not to be null, so that it reads jobs in their order until there are enough.
_HAS_LABEL = (
    "(SELECT 1 FROM job_metadata AS other WHERE other.name = {{}} AND other.value = {{}}"
    " AND other.created_at = {created_at} AND other.job_id = {job_id}) IS NOT NULL"
)


def _rarest_first(metadata: tuple[tuple[str, str], ...]) -> Operation[tuple[tuple[str, str], ...]]:
    """Return the pairs in the order of the number of jobs that have them, as far as it matters."""
    counts = yield from concurrently(
        [
            query(
                "SELECT count(*) FROM (SELECT 1 FROM job_metadata WHERE name = ?1 AND value = ?2"
                f" LIMIT {_COUNTED_MAX}) AS counted",
                pair,
            )
            for pair in metadata
        ]
    )
    ranked = sorted(zip(counts, metadata, strict=True), key=lambda item: int(item[0][0][0]))
    return tuple(pair for _, pair in ranked)


def _driver(wanted: JobFilter) -> str:
    """Return the filter whose index probably leaves the fewest jobs.

    SQLite has no statistics to find that out. Most jobs are completed ones.
    """
    if wanted.external_id is not None:
        return "external_id"
    if wanted.status not in {None, Status.COMPLETED}:
        return "status"
    if wanted.metadata:
        return "metadata"
    if wanted.code is not None:
        return "code"
    if wanted.model is not None:
        return "model"
    return "status" if wanted.project is None else "project"


def _conditions(
    wanted: JobFilter, driver: str, created_at: str, job_id: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    labelled = driver == "metadata"
    yield "deleted_at IS NULL", ()
    if wanted.project is not None and labelled:
        yield "labelled_project = {}", (wanted.project,)
    for column, value in (
        ("project", None if labelled else wanted.project),
        ("status", None if wanted.status is None else wanted.status.value),
        ("model", wanted.model),
        ("code", wanted.code),
        ("external_id", wanted.external_id),
    ):
        if value is None:
            continue
        if column == driver:
            yield f"{column} = {{}}", (value,)
        else:  # an index that begins with this column would not give the order
            yield f"{column} IN ({{}}, {{}})", (value, value)
    has_label = _HAS_LABEL.format(created_at=created_at, job_id=job_id)
    for number, pair in enumerate(wanted.metadata):
        yield ("label = {} AND text = {}" if labelled and not number else has_label), pair
    if wanted.created_after is not None:
        yield f"{created_at} > {{}}", (wanted.created_after,)
    if wanted.created_before is not None:
        yield f"{created_at} < {{}}", (wanted.created_before,)


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
                f" WHERE job_id = ?1 AND sequence > ?2 AND length(body) > 0{owned}"
                " ORDER BY sequence",
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
    count = f"SELECT status, count(*) FROM jobs WHERE {{chosen}}{owned} GROUP BY status"
    # Counted apart: the indexes by status, which answer the first query alone, lack `deleted_at`.
    all_, deleted = yield from concurrently(
        [query(count.format(chosen=chosen), owner) for chosen in ("TRUE", "deleted_at IS NOT NULL")]
    )
    gone = {row[0]: row[1] for row in deleted}
    present = {row[0]: row[1] - gone.get(row[0], 0) for row in all_}
    return {status.value: 0 for status in Status} | present
