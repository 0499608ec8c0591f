"""Operations that read which files wait to be archived, and which budgets are in use."""

from collections.abc import Mapping, Sequence

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.budget import JOBS, NOW, LimitKind, day_of, month_of
from reelhook.domain.event import Instant
from reelhook.ports import BudgetState, ReachedBudget, Sum
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.archive import FILE, file_of
from reelhook.storage.operations.budget_rows import BUDGET, budget_of
from reelhook.storage.operations.ownership import of_project

FILES_READ = 200
BUDGETS_READ = 1000
_EXPIRING = (
    f"SELECT {FILE} FROM archive WHERE account = ?1 AND state = 'waiting' AND late = {{late}}"
    " AND expires_at < ?2{owned} ORDER BY expires_at LIMIT ?3"
)
_OF_JOB = f"SELECT {FILE} FROM archive WHERE job_id = ?1 AND state = 'waiting'"
_PROJECT = (
    "CASE WHEN b.owner LIKE 'project:%' THEN substr(b.owner, 9)"
    " ELSE (SELECT k.project FROM api_keys k"
    " WHERE k.id = substr(b.owner, 5) AND k.revoked_at IS NULL) END"
)
_BUDGETS = f"""
SELECT {BUDGET}, project FROM (SELECT b.*, {_PROJECT} AS project FROM budgets b) AS owned
WHERE project IS NOT NULL AND (CAST(?1 AS TEXT) IS NULL OR project = ?1) ORDER BY owner LIMIT ?2
"""
_SUMS = (
    "SELECT owner, period, unit, reserved, spent, reached_at FROM spending"
    " WHERE owner = ?1 AND period IN (?2, ?3, ?4)"
)


def expiring(
    accounts: Sequence[str], before: Instant, project: str | None = None
) -> Operation[list[ArchivedFile]]:
    """Return files that wait to be archived and that providers delete before that time."""
    owned, owner = of_project(project, 4)
    found = yield from concurrently(
        [
            query(_EXPIRING.format(late=late, owned=owned), (account, before, FILES_READ, *owner))
            for account in accounts
            for late in ("FALSE", "TRUE")
        ]
    )
    return [file_of(row) for rows in found for row in rows]


def of_jobs(job_ids: Sequence[str]) -> Operation[Mapping[str, ArchivedFile]]:
    """Return the files of these jobs that wait to be archived, by job."""
    found = yield from concurrently([query(_OF_JOB, (job_id,)) for job_id in job_ids])
    return {file.job_id: file for rows in found for file in map(file_of, rows)}


def budgets_in_use(now: Instant, project: str | None = None) -> Operation[list[ReachedBudget]]:
    """Return the budgets of projects and keys with their sums."""
    day = day_of(now)
    month = month_of(day)
    rows = yield Statement(_BUDGETS, (project, BUDGETS_READ))
    owners = [row[0] for row in rows]
    read = yield from concurrently([query(_SUMS, (owner, day, month, NOW)) for owner in owners])
    found = []
    for (*budget, of), sums in zip(rows, read, strict=True):
        amounts = {
            (period, unit): Sum(reserved, spent) for _, period, unit, reserved, spent, _ in sums
        }
        reached = {
            (_kind(period, unit, day), unit): at
            for _, period, unit, _, _, at in sums
            if at is not None
        }
        found.append(ReachedBudget(of, BudgetState(budget_of(budget), amounts), reached))
    return found


def _kind(period: str, unit: str, day: str) -> LimitKind:
    if unit == JOBS:
        return LimitKind.JOBS_IN_FLIGHT if period == NOW else LimitKind.JOBS_PER_DAY
    return LimitKind.MONEY_PER_DAY if period == day else LimitKind.MONEY_PER_MONTH
