"""Operations that count the jobs of accounts."""

from reelhook.domain.job import Status
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountLoad, RefusedJob
from reelhook.storage.operation import Operation, Statement


def loads() -> Operation[dict[str, AccountLoad]]:
    """Return the load of each account that has unfinished jobs."""
    rows = yield Statement(
        "SELECT account, status, count(*) FROM jobs"
        " WHERE status IN ('accepted', 'submitting', 'queued', 'processing')"
        " GROUP BY account, status"
    )
    waiting: dict[str, int] = {}
    in_flight: dict[str, int] = {}
    for account, status, count in rows:
        counted = waiting if status == Status.ACCEPTED else in_flight
        counted[account] = counted.get(account, 0) + count
    refused = yield from _refused()
    return {
        account: AccountLoad(
            waiting.get(account, 0), in_flight.get(account, 0), refused.get(account)
        )
        for account in waiting | in_flight
    }


def _refused() -> Operation[dict[str, RefusedJob]]:
    """Return, by account, the job whose create was refused last and that no provider has."""
    rows = yield Statement(
        "SELECT account, id, waiting_since, last_response, submit_attempts FROM (SELECT account,"
        " id, waiting_since, last_response, submit_attempts,"
        " row_number() OVER (PARTITION BY account ORDER BY updated_at DESC, id) AS place FROM jobs"
        " WHERE status IN ('accepted', 'submitting') AND last_response IS NOT NULL) AS refused"
        " WHERE place = 1"
    )
    return {account: RefusedJob(job_id, Waiting(*waiting)) for account, job_id, *waiting in rows}


def in_flight(account: str) -> Operation[int]:
    """Return the number of jobs that the account's provider has, or may have."""
    rows = yield Statement(
        "SELECT (SELECT count(*) FROM jobs WHERE account = ?1"
        " AND status IN ('queued', 'processing'))"
        " + (SELECT count(*) FROM jobs WHERE account = ?1 AND status = 'submitting')",
        (account,),
    )
    return int(rows[0][0])
