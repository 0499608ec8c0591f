"""Operations on jobs: storing them, recording what happened to them, reading them."""

from collections.abc import Mapping, Sequence

from reelhook.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobConflictError,
    JobIdTakenError,
    JobNotFoundError,
    StoreError,
)
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.ports import (
    Acceptance,
    Change,
    Created,
    JobPage,
    Lease,
    NewJob,
    StoredEvent,
    StoredJob,
)
from reelhook.storage.deliveries import offer
from reelhook.storage.doubts import close_doubt
from reelhook.storage.endpoints import NEW_JOBS_LOCK, add_deliveries, check_registered
from reelhook.storage.operation import Operation, Statement, query, side_by_side, waves
from reelhook.storage.ownership import holds
from reelhook.storage.rows import (
    REQUEST_COLUMNS,
    STATE,
    STATE_COLUMNS,
    STORED_JOB,
    job_of,
    request_of,
    state_of,
    stored_job_of,
)

_NEW_COLUMNS = (*STATE_COLUMNS, *REQUEST_COLUMNS, "title", "webhook_url")
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
        raise JobIdTakenError(f"Another job has the id {new.job.id}; choose another jobId")
    # Before anything is written: a refusal spoils no transaction that others share.
    yield from check_registered(new.destinations)
    if new.job.adopted_from is not None and not (
        yield from close_doubt(new.job.adopted_from, new.job.created_at)
    ):
        raise JobConflictError("The job's doubt is settled already")
    request = new.request
    yield Statement(
        _INSERT,
        (*state_of(new.job), *request_of(request), request.title, new.webhook_url),
    )
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
        key = new.idempotency
        rows = yield Statement(
            "SELECT fingerprint, job_id FROM idempotency_keys WHERE holder = ?1 AND key = ?2",
            (key.holder, key.key),
        )
        if rows and rows[0][0] != key.fingerprint:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key came with another body before; use a new key"
            )
        if rows:
            return Created(rows[0][1], replayed=True)
    if new.job.provider_job_id is not None:
        rows = yield Statement(
            "SELECT id FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
            (new.job.account, new.job.provider_job_id),
        )
        if rows:
            return Created(rows[0][0], replayed=True)
    return None


def record(changes: Sequence[Change], lease: Lease | None) -> Operation[list[str]]:
    """Write states, events and cursors; return the ids of the jobs that were written."""
    written: list[str] = []
    if not (yield from holds(lease)):
        return written
    for wave in waves(changes, lambda change: (change.job.id,)):
        recorded = yield from side_by_side([_record_one(change, lease) for change in wave])
        written += [change.job.id for change, one in zip(wave, recorded, strict=True) if one]
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


def accept(change: Change, lease: Lease | None) -> Operation[Acceptance]:
    """Record that the provider has the job; a create's own answer dislodges an adoption."""
    job = change.job
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE account = ?1 AND provider_job_id = ?2 AND id <> ?3",
        (job.account, job.provider_job_id, job.id),
    )
    if rows:
        holder = job_of(rows[0])
        if not job.adopted and not holder.adopted:
            return Acceptance.DUPLICATE
        if job.adopted or holder.status.terminal:
            return Acceptance.TAKEN
        yield from _record_one(Change(holder.dislodged(job.updated_at)), None)
    recorded = yield from _record_one(change, lease)
    if not recorded and rows:
        # Nothing may stay dislodged for a claim that failed: the whole operation is undone.
        raise StoreError("The job changed while its acceptance was recorded")
    return Acceptance.RECORDED if recorded else Acceptance.STALE


def claimed(account: str, provider_job_ids: Sequence[str]) -> Operation[dict[str, bool]]:
    """Return which of these are jobs of ours already, and whether we created each."""
    found = yield from side_by_side(
        [
            query(
                "SELECT submit_attempts > 0 FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
                (account, provider_job_id),
            )
            for provider_job_id in provider_job_ids
        ]
    )
    return {
        provider_job_id: bool(rows[0][0])
        for provider_job_id, rows in zip(provider_job_ids, found, strict=True)
        if rows
    }


def to_submit(
    account: str, now: Instant, limit: int
) -> Operation[tuple[list[StoredJob], Instant | None]]:
    """Return accepted jobs that are due, oldest first, and when the next one will be."""
    rows = yield Statement(
        f"SELECT {STORED_JOB} FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND coalesce(submit_due_at, 0) <= ?2 ORDER BY created_at, id LIMIT ?3",
        (account, now, limit),
    )
    later = yield Statement(
        "SELECT min(submit_due_at) FROM jobs"
        " WHERE account = ?1 AND status = 'accepted' AND submit_due_at > ?2",
        (account, now),
    )
    return [stored_job_of(row) for row in rows], later[0][0]


def submitting(account: str) -> Operation[list[StoredJob]]:
    """Return the jobs whose create call has no recorded outcome."""
    rows = yield Statement(
        f"SELECT {STORED_JOB} FROM jobs WHERE account = ?1 AND status = 'submitting'"
        " ORDER BY created_at, id",
        (account,),
    )
    return [stored_job_of(row) for row in rows]


def unsubmitted_before(created_before: Instant) -> Operation[list[Job]]:
    """Return jobs made before that moment which no provider has accepted."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE status IN ('accepted', 'submitting') AND created_at < ?1",
        (created_before,),
    )
    return [job_of(row) for row in rows]


def job(job_id: str) -> Operation[StoredJob]:
    """Return one job. Raises `JobNotFoundError`."""
    rows = yield Statement(f"SELECT {STORED_JOB} FROM jobs WHERE id = ?1", (job_id,))
    if not rows:
        raise JobNotFoundError
    return stored_job_of(rows[0])


def page(status: Status | None, limit: int, cursor: str | None) -> Operation[JobPage]:
    """Return a page of jobs, newest first; the cursor is the last job's id."""
    behind: tuple[int, str] | None = None
    if cursor is not None:
        rows = yield Statement("SELECT created_at, id FROM jobs WHERE id = ?1", (cursor,))
        if not rows:
            raise InvalidRequestError("cursor", "cursor must be a nextCursor of an earlier answer")
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
        f"SELECT {STORED_JOB} FROM jobs{where} ORDER BY created_at DESC, id DESC LIMIT ?1",
        parameters,
    )
    jobs = tuple(stored_job_of(row) for row in rows[:limit])
    return JobPage(jobs, jobs[-1].job.id if len(rows) > limit else None)


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
