"""Operations on what accounts have to do, and what their jobs cost."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountLoad, CostLine, ListedJob, RefusedJob, StoredJob
from reelhook.storage.operation import Operation, Statement, query, side_by_side
from reelhook.storage.operations.rows import LISTED_JOB, listed_job_of, stored_job_of, within

DAY_MILLISECONDS = 24 * 3600 * 1000


def waiting_elsewhere(
    accounts: Sequence[str], idle_since: Instant, limit: int, bytes_max: int
) -> Operation[list[StoredJob]]:
    """Return accepted jobs of these accounts that nothing was done for since then, oldest first.

    None whose account was named. Those too that wait for a moment which their own account's
    provider asked for.
    """
    found = yield from side_by_side(
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
    return sorted(jobs, key=lambda one: (one.job.created_at, one.job.id))[:limit]


def with_fallbacks(account: str, waiting_since: Instant, limit: int) -> Operation[list[ListedJob]]:
    """Return accepted jobs with other models to try that have waited for theirs since then."""
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND fallbacks IS NOT NULL AND coalesce(model_since, created_at) < ?2"
        " ORDER BY created_at, id LIMIT ?3",
        (account, waiting_since, limit),
    )
    return [listed_job_of(row) for row in rows]


def loads() -> Operation[dict[str, AccountLoad]]:
    """Return what each account has to do, where it has anything."""
    rows = yield Statement(
        "SELECT account, status, count(*) FROM jobs"
        " WHERE status IN ('accepted', 'submitting', 'queued', 'processing')"
        " GROUP BY account, status"
    )
    waiting: dict[str, int] = {}
    in_flight: dict[str, int] = {}
    for account, status, count in rows:
        side = waiting if status == Status.ACCEPTED else in_flight
        side[account] = side.get(account, 0) + count
    refused = yield from _refused()
    return {
        account: AccountLoad(
            waiting.get(account, 0), in_flight.get(account, 0), refused.get(account)
        )
        for account in waiting | in_flight
    }


def _refused() -> Operation[dict[str, RefusedJob]]:
    """Return of each account the job that was refused last, of those that no provider has."""
    rows = yield Statement(
        "SELECT account, id, waiting_since, last_response, submit_attempts FROM (SELECT account,"
        " id, waiting_since, last_response, submit_attempts,"
        " row_number() OVER (PARTITION BY account ORDER BY updated_at DESC, id) AS place FROM jobs"
        " WHERE status IN ('accepted', 'submitting') AND last_response IS NOT NULL) AS refused"
        " WHERE place = 1"
    )
    return {account: RefusedJob(one, Waiting(*waiting)) for account, one, *waiting in rows}


def in_flight(account: str) -> Operation[int]:
    """Return how many jobs the account's provider has, or may have."""
    rows = yield Statement(
        "SELECT (SELECT count(*) FROM jobs WHERE account = ?1"
        " AND status IN ('queued', 'processing'))"
        " + (SELECT count(*) FROM jobs WHERE account = ?1 AND status = 'submitting')",
        (account,),
    )
    return int(rows[0][0])


def ahead(job: Job) -> Operation[int]:
    """Return how many accepted jobs of the same account come before this one."""
    rows = yield Statement(
        "SELECT count(*) FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND (created_at < ?2 OR (created_at = ?2 AND id < ?3))",
        (job.account, job.created_at, job.id),
    )
    return int(rows[0][0])


def costs(since: Instant, until: Instant) -> Operation[list[CostLine]]:
    """Return what jobs made between these moments cost, by day (UTC), model and unit."""
    rows = yield Statement(
        f"SELECT created_at / {DAY_MILLISECONDS} AS day, provider, model,"
        " coalesce(charged_unit, quoted_unit) AS unit,"
        " count(*), sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END),"
        " sum(quoted_amount), sum(charged_amount)"
        " FROM jobs WHERE created_at >= ?1 AND created_at < ?2 AND provider_job_id IS NOT NULL"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        (since, until),
    )
    return [CostLine(*row) for row in rows]
