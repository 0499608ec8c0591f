"""Operations on late checks: ended jobs whose video may still turn up at their provider."""

import json
from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.late_check import CHECK_MILLISECONDS, LateCheck, Spent, may_succeed
from reelhook.domain.money import Money
from reelhook.domain.reservation import Bill, spent_by
from reelhook.ports import Lease
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations import reservations
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import STATE, job_of


def enroll(job: Job, spent: Sequence[Spent]) -> Operation[None]:
    """Look at a job that has just ended once more, if its video may still turn up.

    `spent` is what its end has added to budgets, which its charge may correct later.
    """
    if not may_succeed(job):
        return
    yield Statement(
        "INSERT INTO late_checks (job_id, account, due_at, checks, spent)"
        " VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT (job_id) DO NOTHING",
        (job.id, job.account, job.updated_at + CHECK_MILLISECONDS, _text(spent)),
    )


def due(account: str, now: Instant, limit: int) -> Operation[list[LateCheck]]:
    """Return an account's checks that are due, the longest due first."""
    rows = yield Statement(
        "SELECT job_id, checks FROM late_checks WHERE account = ?1 AND due_at <= ?2"
        " ORDER BY due_at, job_id LIMIT ?3",
        (account, now, limit),
    )
    found = yield from concurrently(
        [query(f"SELECT {STATE} FROM jobs WHERE id = ?1", (row[0],)) for row in rows]
    )
    return [
        LateCheck(job_of(jobs[0]), row[1]) for row, jobs in zip(rows, found, strict=True) if jobs
    ]


def record(
    check: LateCheck, due_at: Instant | None, lease: Lease | None, *, learnt: bool = True
) -> Operation[None]:
    """Store the time of a job's next check; None: it is looked at no more."""
    if not (yield from holds(lease)):
        return
    if due_at is None:
        yield Statement("DELETE FROM late_checks WHERE job_id = ?1", (check.job.id,))
        return
    yield Statement(
        "UPDATE late_checks SET due_at = ?2, checks = ?3 WHERE job_id = ?1",
        (check.job.id, due_at, check.checks + learnt),
    )


def recovered(job_id: str, bill: Bill | None) -> Operation[None]:
    """End the checks of a job whose video turned up, and correct what its end has spent."""
    rows = yield Statement("DELETE FROM late_checks WHERE job_id = ?1 RETURNING spent", (job_id,))
    if not rows or not rows[0][0] or bill is None or bill.charge is None:
        return
    spent = _spent_of(rows[0][0])
    if not spent:
        return
    budgets = yield from reservations.locked(sorted({each.owner for each in spent}))
    yield from reservations.change_sums(
        change
        for each in spent
        if each.owner in budgets
        and (money := spent_by(bill, budgets[each.owner].limits)) is not None
        for change in each.corrected(money)
    )


def _text(spent: Sequence[Spent]) -> str:
    return json.dumps(
        [(one.owner, one.day, one.money and (one.money.amount, one.money.unit)) for one in spent]
    )


def _spent_of(text: str) -> list[Spent]:
    return [
        Spent(owner, day, None if money is None else Money(*money))
        for owner, day, money in json.loads(text)
    ]
