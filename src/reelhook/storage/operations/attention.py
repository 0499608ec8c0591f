"""Operations that read what may be held up, at a cost that does not grow with the tables.

The oldest jobs of each account are read, and others are counted up to a limit, by indexes that
exist for the loops. Each query orders by its index, so that PostgreSQL chooses it.
"""

from collections.abc import Mapping, Sequence

from reelhook.domain.causes.accounts import Leased
from reelhook.domain.causes.cause import COUNTED_MAX
from reelhook.domain.job import Job, Status
from reelhook.ports import JobsOfKind, SharedState
from reelhook.storage.operation import Operation, Row, Statement, concurrently, query
from reelhook.storage.operations import accounts as account_rows
from reelhook.storage.operations.ownership import of_project
from reelhook.storage.operations.pause import watching_paused_since
from reelhook.storage.operations.rows import STATE, job_of

JOBS_READ = 50
"""The number of jobs of each account and kind that are read."""
RENDERS_SEARCHED = 500
"""The number of a model's newest jobs among which completed ones are searched."""
_LEASE_PREFIX = "account:"
_LEASES = (
    "SELECT id, lease_until > now_ms(), lease_until FROM leases"
    f" WHERE id LIKE '{_LEASE_PREFIX}%' ORDER BY id"
)
_KINDS = (
    "account = ?1 AND status = 'accepted' ORDER BY project, priority DESC, created_at, id",
    "account = ?1 AND status = 'submitting' ORDER BY created_at",
    "account = ?1 AND status IN ('queued', 'processing') ORDER BY accepted_at",
)
_OF_KIND = tuple(f"SELECT {STATE} FROM jobs WHERE {kind} LIMIT ?2" for kind in _KINDS)
_COUNT = tuple(
    f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {kind} LIMIT ?2) AS counted" for kind in _KINDS
)
_OF_PROJECT = (
    f"SELECT {STATE} FROM jobs WHERE project = ?1 AND status = ?2 ORDER BY created_at, id LIMIT ?3"
)
_UNFINISHED = (Status.ACCEPTED, Status.SUBMITTING, Status.QUEUED, Status.PROCESSING)
_FULL = (
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE account = ?1"
    " AND status IN ('queued', 'processing') ORDER BY accepted_at LIMIT ?2) AS counted"
)
_BEING_CREATED = "SELECT count(*) FROM jobs WHERE account = ?1 AND status = 'submitting'"
_UNRESOLVED = (
    "WHERE code = 'submission_unknown' AND doubt_closed_at IS NULL{} ORDER BY created_at LIMIT ?1"
)
_RENDERS = (
    "SELECT updated_at - accepted_at FROM (SELECT status, accepted_at, updated_at FROM jobs"
    " WHERE model = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2) AS newest"
    " WHERE status = 'completed' AND accepted_at IS NOT NULL LIMIT ?3"
)


def shared_state() -> Operation[SharedState]:
    """Return the pause, the leases and the status of all accounts."""
    paused_since = yield from watching_paused_since()
    rows = yield Statement(_LEASES)
    leases = {
        lease_id.removeprefix(_LEASE_PREFIX): Leased(bool(held), None if held else until or None)
        for lease_id, held, until in rows
    }
    return SharedState(paused_since, leases, (yield from account_rows.records()))


def accounts_full(limits: Mapping[str, int]) -> Operation[frozenset[str]]:
    """Return the accounts that have as many jobs at their providers as these limits allow."""
    full = set()
    for account, most in limits.items():
        watched = yield Statement(_FULL, (account, most))
        created = yield Statement(_BEING_CREATED, (account,))
        if watched[0][0] + created[0][0] >= most:
            full.add(account)
    return frozenset(full)


def unfinished(accounts: Sequence[str], project: str | None = None) -> Operation[list[JobsOfKind]]:
    """Return the oldest unfinished jobs of these accounts, by account and kind."""
    if project is not None:
        return (yield from _unfinished_of(project))
    kinds = [(account, kind) for account in accounts for kind in range(len(_KINDS))]
    read = yield from concurrently(
        [query(_OF_KIND[kind], (account, JOBS_READ)) for account, kind in kinds]
    )
    found = []
    for (account, kind), rows in zip(kinds, read, strict=True):
        if not rows:
            continue
        count = len(rows)
        if count == JOBS_READ:
            count = (yield Statement(_COUNT[kind], (account, COUNTED_MAX + 1)))[0][0]
        jobs = tuple(job_of(row) for row in rows)
        found.append(JobsOfKind(account, jobs, min(count, COUNTED_MAX), count > COUNTED_MAX))
    return found


def _unfinished_of(project: str) -> Operation[list[JobsOfKind]]:
    """Return the oldest unfinished jobs of a project, whatever their accounts."""
    read: list[list[Row]] = yield from concurrently(
        [query(_OF_PROJECT, (project, status.value, JOBS_READ)) for status in _UNFINISHED]
    )
    found: dict[tuple[str, Status], list[Job]] = {}
    full = set()
    for rows in read:
        for job in map(job_of, rows):
            kind = Status.QUEUED if job.status.watched else job.status
            found.setdefault((job.account, kind), []).append(job)
            if len(rows) == JOBS_READ:
                full.add((job.account, kind))
    return [JobsOfKind(key[0], tuple(jobs), len(jobs), key in full) for key, jobs in found.items()]


def unresolved(project: str | None = None) -> Operation[JobsOfKind]:
    """Return the oldest jobs that ended in doubt, and that nobody has settled."""
    owned, owner = of_project(project, 2)
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs {_UNRESOLVED.format(owned)}", (JOBS_READ, *owner)
    )
    count = len(rows)
    if count == JOBS_READ:
        counting = (
            f"SELECT count(*) FROM (SELECT 1 FROM jobs {_UNRESOLVED.format(owned)}) AS counted"
        )
        count = (yield Statement(counting, (COUNTED_MAX + 1, *owner)))[0][0]
    jobs = tuple(job_of(row) for row in rows)
    return JobsOfKind("", jobs, min(count, COUNTED_MAX), count > COUNTED_MAX)


def render_times(model: str, limit: int) -> Operation[list[int]]:
    """Return the milliseconds that the newest videos of a model took at their providers."""
    rows = yield Statement(_RENDERS, (model, RENDERS_SEARCHED, limit))
    return [row[0] for row in rows]
