"""Operations that read jobs which no provider has accepted yet."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.ports import ANY_BYTES, ListedJob, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.rows import LISTED_JOB, listed_job_of, stored_job_of, within


def due(
    account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
) -> Operation[tuple[list[StoredJob], Instant | None]]:
    """Return accepted jobs that are due, oldest first, and the time when the next one is due."""
    rows = yield Statement(
        within(
            "account = ?1 AND status = 'accepted' AND coalesce(submit_due_at, 0) <= ?2", "?3", "?4"
        ),
        (account, now, limit, bytes_max),
    )
    later = yield Statement(
        "SELECT min(submit_due_at) FROM jobs"
        " WHERE account = ?1 AND status = 'accepted' AND submit_due_at > ?2",
        (account, now),
    )
    return [stored_job_of(row) for row in rows], later[0][0]


def waiting_elsewhere(
    accounts: Sequence[str], idle_since: Instant, limit: int, bytes_max: int = ANY_BYTES
) -> Operation[list[StoredJob]]:
    """Return accepted jobs of these accounts that have been idle since then, oldest first.

    Jobs whose request named the account are left out. Jobs that wait because their own account's
    provider asked for a pause are included.
    """
    found = yield from concurrently(
        [
            query(
                within(
                    "account = ?1 AND status = 'accepted' AND NOT pinned AND updated_at <= ?2",
                    "?3",
                    "?4",
                ),
                (account, idle_since, limit, bytes_max),
            )
            for account in accounts
        ]
    )
    jobs = [stored_job_of(row) for rows in found for row in rows]
    return sorted(jobs, key=lambda stored: (stored.job.created_at, stored.job.id))[:limit]


def with_fallbacks(account: str, waiting_since: Instant, limit: int) -> Operation[list[ListedJob]]:
    """Return accepted jobs that have fallbacks and have waited for their model since then."""
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND fallbacks IS NOT NULL AND coalesce(model_since, created_at) < ?2"
        " ORDER BY created_at, id LIMIT ?3",
        (account, waiting_since, limit),
    )
    return [listed_job_of(row) for row in rows]


def ahead(job: Job) -> Operation[int]:
    """Return the number of accepted jobs of the same account that come before this one."""
    rows = yield Statement(
        "SELECT count(*) FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND (created_at < ?2 OR (created_at = ?2 AND id < ?3))",
        (job.account, job.created_at, job.id),
    )
    return int(rows[0][0])
