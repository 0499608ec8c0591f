"""Reading the jobs that a provider has: their rows, and what tells which rows are new."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.storage.operation import Operation, Row, Statement, query, side_by_side
from reelhook.storage.operations.rows import STATE, job_of


def to_watch(account: str, accepted_since: Instant) -> Operation[list[Row]]:
    """Return the rows (`STATE`) of jobs that the provider has not ended, newest first."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE account = ?1 AND status IN ('queued', 'processing')"
        " AND accepted_at >= ?2 ORDER BY accepted_at DESC, id DESC",
        (account, accepted_since),
    )
    return rows


def versions_to_watch(account: str) -> Operation[str]:
    """Return `id:version` of each of these jobs, joined by commas, newest first."""
    rows = yield Statement(
        # The database joins them: 100,000 rows would take the reader 130 ms on PostgreSQL.
        "SELECT string_agg(id || ':' || version, ',') FROM (SELECT id, version FROM jobs"
        " WHERE account = ?1 AND status IN ('queued', 'processing') AND accepted_at >= 0"
        " ORDER BY accepted_at DESC) AS pending",
        (account,),
    )
    return rows[0][0] or ""


def watched(job_ids: Sequence[str]) -> Operation[list[Job]]:
    """Return those of these jobs that the provider has not ended."""
    found = yield from side_by_side(
        [
            query(
                f"SELECT {STATE} FROM jobs WHERE id = ?1 AND status IN ('queued', 'processing')",
                (job_id,),
            )
            for job_id in job_ids
        ]
    )
    return [job_of(row) for rows in found for row in rows]
