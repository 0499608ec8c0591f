"""Operations on jobs: storing them, recording what happened to them, reading them."""

from collections.abc import Mapping, Sequence

from reelhook.domain.conflicts import DoubtSettledError, JobIdTakenError
from reelhook.domain.errors import (
    IdempotencyKeyReusedError,
    JobNotFoundError,
    UnknownCursorError,
)
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.lost_create import dislodged
from reelhook.ports import (
    SOLE_HOLDER,
    Acceptance,
    Change,
    Created,
    IdempotencyKey,
    JobPage,
    Lease,
    NewJob,
    StoredEvent,
    StoredJob,
)
from reelhook.storage.operation import (
    Operation,
    Row,
    Statement,
    conflict_free_batches,
    query,
    side_by_side,
)
from reelhook.storage.operations.deliveries import offer
from reelhook.storage.operations.endpoints import NEW_JOBS_LOCK, add_deliveries, check_registered
from reelhook.storage.operations.in_doubt import close_doubt
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import (
    LISTED_JOB,
    REQUEST_COLUMNS,
    STATE,
    STATE_COLUMNS,
    STORED_JOB,
    job_of,
    page_of,
    request_of,
    state_of,
    stored_job_of,
    within,
)

_NEW_COLUMNS = (*STATE_COLUMNS, *REQUEST_COLUMNS, "webhook_url")
_INSERT = "INSERT INTO jobs ({columns}) VALUES ({values})".format(
    columns=", ".join(_NEW_COLUMNS),
    values=", ".join(f"?{number}" for number in range(1, len(_NEW_COLUMNS) + 1)),
)
_KEPT = ("created_at", "adopted_from")
_NUMBER = {
    name: number
    for number, name in enumerate([one for one in STATE_COLUMNS if one not in _KEPT], start=1)
}
_WRITTEN = [(name, number) for name, number in _NUMBER.items() if name not in {"id", "version"}]
_LEASE, _EPOCH = len(_NUMBER) + 1, len(_NUMBER) + 2

# The version is the fence against lost updates, the epoch against a worker that lost its lease;
# either way the row stays as it is. A terminal status is never left.
_UPDATE = (
    "UPDATE jobs SET version = version + 1, "
    + ", ".join(f"{name} = ?{number}" for name, number in _WRITTEN)
    + f" WHERE id = ?{_NUMBER['id']} AND version = ?{_NUMBER['version']}"
    + " AND status NOT IN ('completed', 'failed', 'canceled')"
    + f" AND (CAST(?{_LEASE} AS TEXT) IS NULL OR EXISTS"
    + f" (SELECT 1 FROM leases WHERE id = ?{_LEASE} AND epoch = ?{_EPOCH}))"
    + " RETURNING id"
)
# Whoever registers an endpoint for every job's events waits for the lock, see `endpoints`. It is
# taken along with a question that has to be asked anyway.
_TAKEN = (
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1)"
    f" /*pg , CAST(pg_advisory_xact_lock_shared({NEW_JOBS_LOCK}) AS TEXT) */"
)
_INSERT_EVENT = (
    "INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body, position)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
    " (SELECT coalesce(max(position), 0) + 1 FROM events))"
)


def create(new: NewJob) -> Operation[Created]:
    """Store a job with its deliveries and key, unless the key or the provider's id is known.

    One that is adopted settles the doubt, which only one can.
    """
    known = yield from _known(new)
    if known:
        return known
    taken = yield Statement(_TAKEN, (new.job.id,))
    if taken[0][0]:
        raise JobIdTakenError(new.job.id)
    # Before anything is written: a refusal spoils no transaction that others share.
    request = request_of(new.request)
    yield from check_registered(new.destinations)
    if new.job.adopted_from is not None and not (
        yield from close_doubt(new.job.adopted_from, new.job.created_at)
    ):
        raise DoubtSettledError(new.job.adopted_from)
    yield Statement(_INSERT, (*state_of(new.job), *request, new.webhook_url))
    yield from add_deliveries(new.job.id, new.destinations, new.job.created_at)
    if new.idempotency:
        key = new.idempotency
        yield Statement(
            "INSERT INTO idempotency_keys (holder, key, fingerprint, job_id, created_at)"
            " VALUES (?1, ?2, ?3, ?4, ?5)",
            (key.holder, key.key, key.fingerprint, new.job.id, new.job.created_at),
        )
    return Created(new.job.id)


def _known(new: NewJob) -> Operation[Created | None]:
    if new.idempotency:
        before = yield from _came_before(new.idempotency)
        if before:
            return before
    if new.job.provider_job_id is not None:
        rows = yield Statement(
            "SELECT id FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
            (new.job.account, new.job.provider_job_id),
        )
        if rows:
            return Created(rows[0][0], replayed=True)
    return None


def _came_before(key: IdempotencyKey) -> Operation[Created | None]:
    rows = yield Statement(
        "SELECT holder, fingerprint, job_id FROM idempotency_keys WHERE key = ?1", (key.key,)
    )
    known = {key.holder, SOLE_HOLDER}
    ours = [row for row in rows if key.holder == SOLE_HOLDER or row[0] in known]
    if not ours:
        return None
    # Its own first; of those of other holders the one that means the same.
    _, fingerprint, job_id = min(
        ours, key=lambda row: (row[0] != key.holder, row[1] != key.fingerprint)
    )
    if fingerprint != key.fingerprint:
        raise IdempotencyKeyReusedError
    return Created(job_id, replayed=True)


def record(changes: Sequence[Change], lease: Lease | None) -> Operation[list[str]]:
    """Write states, events and cursors; return the ids of the jobs that were written."""
    written: list[str] = []
    if not (yield from holds(lease)):
        return written
    for batch in conflict_free_batches(changes, lambda change: (change.job.id,)):
        recorded = yield from side_by_side([_record_one(change, lease) for change in batch])
        written += [change.job.id for change, one in zip(batch, recorded, strict=True) if one]
    return written


def _record_one(change: Change, lease: Lease | None) -> Operation[bool]:
    fence = (lease.id, lease.epoch) if lease else (None, None)
    if not (yield Statement(_UPDATE, (*state_of(change.job, _NUMBER), *fence))):
        return False
    for event in change.events:
        yield from offer(event)
    for event, body in zip(change.events, change.bodies, strict=True):
        yield Statement(
            _INSERT_EVENT,
            (
                event.id,
                event.job_id,
                event.sequence,
                event.kind.value,
                event.status.value,
                event.progress,
                event.occurred_at,
                body,
            ),
            last=True,
        )
    return True


def accept(change: Change, lease: Lease | None, sharing: Sequence[str]) -> Operation[Acceptance]:
    """Record that the provider has the job; a create's own response dislodges an adoption."""
    job = change.job
    rows = yield from _holders((job.account, *sharing), job)
    if rows:
        holder = job_of(rows[0])
        if not job.adopted and not holder.adopted:
            return Acceptance.DUPLICATE
        if job.adopted or holder.status.terminal:
            return Acceptance.TAKEN
        # Nobody may be dislodged for a claim that then comes to nothing.
        if not (yield from _may_change(job, lease)):
            return Acceptance.STALE
        if not (yield from _record_one(Change(dislodged(holder, job.updated_at)), None)):
            return Acceptance.STALE  # the holder has just changed: the caller looks again
    recorded = yield from _record_one(change, lease)
    return Acceptance.RECORDED if recorded else Acceptance.STALE


def _may_change(job: Job, lease: Lease | None) -> Operation[bool]:
    """Return whether a change of the job will be written, and keep it so."""
    rows = yield Statement(
        "SELECT 1 FROM jobs WHERE id = ?1 AND version = ?2"
        " AND status NOT IN ('completed', 'failed', 'canceled') /*pg FOR UPDATE */",
        (job.id, job.version),
    )
    return bool(rows) and (yield from holds(lease))


def now(job_ids: Sequence[str]) -> Operation[list[Job]]:
    """Return these jobs as they stand."""
    found = yield from side_by_side(
        [query(f"SELECT {STATE} FROM jobs WHERE id = ?1", (job_id,)) for job_id in job_ids]
    )
    return [job_of(row) for rows in found for row in rows]


def _holders(accounts: Sequence[str], job: Job) -> Operation[list[Row]]:
    """Return the rows (`STATE`) of other jobs that hold the same entry of the server's."""
    found = yield from side_by_side(
        [
            query(
                f"SELECT {STATE} FROM jobs"
                " WHERE account = ?1 AND provider_job_id = ?2 AND id <> ?3",
                (account, job.provider_job_id, job.id),
            )
            for account in accounts
        ]
    )
    return [row for rows in found for row in rows]


def to_submit(
    account: str, now: Instant, limit: int, bytes_max: int
) -> Operation[tuple[list[StoredJob], Instant | None]]:
    """Return accepted jobs that are due, oldest first, and when the next one will be."""
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


def unsubmitted_before(created_before: Instant) -> Operation[list[Job]]:
    """Return jobs made before that moment which no provider has accepted."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE status IN ('accepted', 'submitting') AND created_at < ?1",
        (created_before,),
    )
    return [job_of(row) for row in rows]


def unfinished_before(accepted_before: Instant) -> Operation[list[Job]]:
    """Return jobs, a thousand at most, that a provider has had since before then."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE status IN ('queued', 'processing') AND accepted_at < ?1"
        " ORDER BY accepted_at LIMIT 1000",
        (accepted_before,),
    )
    return [job_of(row) for row in rows]


def job(job_id: str) -> Operation[StoredJob]:
    """Return one job. Raises `JobNotFoundError`."""
    rows = yield Statement(f"SELECT {STORED_JOB} FROM jobs WHERE id = ?1", (job_id,))
    if not rows:
        raise JobNotFoundError(job_id)
    return stored_job_of(rows[0])


def page(status: Status | None, limit: int, cursor: str | None) -> Operation[JobPage]:
    """Return a page of jobs, newest first; the cursor is the last job's id."""
    behind: tuple[int, str] | None = None
    if cursor is not None:
        rows = yield Statement("SELECT created_at, id FROM jobs WHERE id = ?1", (cursor,))
        if not rows:
            raise UnknownCursorError
        behind = (rows[0][0], rows[0][1])
    clauses, parameters = [], [limit + 1]
    if status is not None:
        parameters.append(status.value)  # type: ignore[arg-type] # SQL parameters are of any type
        clauses.append(f"status = ?{len(parameters)}")
    if behind is not None:
        parameters.extend(behind)  # type: ignore[arg-type] # as above
        clauses.append(f"(created_at, id) < (?{len(parameters) - 1}, ?{len(parameters)})")
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs{where} ORDER BY created_at DESC, id DESC LIMIT ?1",
        parameters,
    )
    return page_of(rows, limit)


def events(job_ids: Sequence[str], after: Mapping[str, int]) -> Operation[list[StoredEvent]]:
    """Return these jobs' events behind the given sequences, in order."""
    found = yield from side_by_side(
        [
            query(
                "SELECT id, job_id, sequence, body FROM events"
                " WHERE job_id = ?1 AND sequence > ?2 ORDER BY sequence",
                (job_id, after.get(job_id, 0)),
            )
            for job_id in job_ids
        ]
    )
    return [StoredEvent(*row) for rows in found for row in rows]


def counts() -> Operation[dict[str, int]]:
    """Return the number of jobs of each status."""
    rows = yield Statement("SELECT status, count(*) FROM jobs GROUP BY status")
    return {status.value: 0 for status in Status} | {row[0]: row[1] for row in rows}
