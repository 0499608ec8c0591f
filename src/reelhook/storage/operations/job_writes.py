"""Operations that create jobs and record their changes."""

from collections.abc import Sequence

from reelhook.domain.conflicts import (
    DoubtSettledError,
    JobIdTakenError,
    JobIdUnavailableError,
)
from reelhook.domain.errors import UnknownProviderJobError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.labels import labels_of
from reelhook.domain.lost_create import dislodged
from reelhook.domain.priority import Priority, PriorityRefusedError
from reelhook.domain.reservation import bill_of
from reelhook.ports import Acceptance, Change, Created, Lease, NewJob
from reelhook.storage.operation import (
    Operation,
    Row,
    Statement,
    concurrently,
    conflict_free_batches,
    query,
)
from reelhook.storage.operations import (
    archive,
    audit,
    client_calls,
    deleting,
    event_writes,
    files,
    idempotency,
    late_checks,
    projects,
    replays,
    reservations,
    turns,
)
from reelhook.storage.operations.delivery_writes import offer
from reelhook.storage.operations.in_doubt import close_doubt
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.new_deliveries import (
    NEW_JOBS_LOCK,
    add_deliveries,
    check_registered,
)
from reelhook.storage.operations.ownership import of_project
from reelhook.storage.operations.rows import (
    REQUEST_COLUMNS,
    STATE,
    STATE_COLUMNS,
    job_of,
    request_of,
    state_of,
    state_writer,
)

_NEW_COLUMNS = (*STATE_COLUMNS, *REQUEST_COLUMNS, "webhook_url")
_INSERT = "INSERT INTO jobs ({columns}) VALUES ({values})".format(
    columns=", ".join(_NEW_COLUMNS),
    values=", ".join(f"?{number}" for number in range(1, len(_NEW_COLUMNS) + 1)),
)
_NEVER_CHANGED = (
    *("created_at", "adopted_from"),
    *("project", "key_id", "priority", "external_id", "metadata"),
)
_NUMBER = {
    name: number
    for number, name in enumerate(
        [name for name in STATE_COLUMNS if name not in _NEVER_CHANGED], start=1
    )
}
_WRITTEN = [(name, number) for name, number in _NUMBER.items() if name not in {"id", "version"}]
_changed_state_of = state_writer(_NUMBER)
_LEASE, _EPOCH = len(_NUMBER) + 1, len(_NUMBER) + 2

# The version fences off lost updates, the epoch a worker that has lost its lease; in both cases the
# row stays unchanged. A terminal status is never left.
_UPDATE = (
    "UPDATE jobs SET version = version + 1, "
    + ", ".join(f"{name} = ?{number}" for name, number in _WRITTEN)
    + f" WHERE id = ?{_NUMBER['id']} AND version = ?{_NUMBER['version']}"
    + " AND status NOT IN ('completed', 'failed', 'canceled')"
    + f" AND (CAST(?{_LEASE} AS TEXT) IS NULL OR EXISTS"
    + f" (SELECT 1 FROM leases WHERE id = ?{_LEASE} AND epoch = ?{_EPOCH}))"
    + " RETURNING id"
)
# Registering an endpoint for every job's events waits for this lock, see `new_deliveries`. It is
# taken by a query that is needed anyway.
_TAKEN = (
    "SELECT (SELECT project FROM jobs WHERE id = ?1)"
    f" /*pg , CAST(pg_advisory_xact_lock_shared({NEW_JOBS_LOCK}) AS TEXT) */"
)
_TAKEN_BY_CALL = f"{_TAKEN.replace('?1', '?2')}, {client_calls.LOCK}"


def create(new: NewJob) -> Operation[Created]:
    """Store a job with its deliveries and key, unless key, call or the provider's id is known.

    A job that adopts a video settles the unresolved submission it comes from; only one job can. It
    takes over the reservations in budgets. Raises `BudgetError`.
    """
    known = yield from _known(new)
    if known:
        return known
    one = new.client_try if new.idempotency is None else None
    if one is None:
        taken = yield Statement(_TAKEN, (new.job.id,))
    else:
        taken = yield Statement(_TAKEN_BY_CALL, (client_calls.lock_of(one), new.job.id))
    if (owner := taken[0][0]) is not None:
        raise JobIdTakenError(new.job.id) if new.shows(owner) else JobIdUnavailableError
    call = None if one is None else (yield from client_calls.find(one))
    if one is not None and (replay := (yield from replays.of_call(one, call))):
        return replay
    # Checked before the first write, so that a refusal undoes no transaction that others share.
    request = request_of(new.request)
    destinations = yield from projects.destinations(new)
    yield from _check_priority(new.job)
    yield from check_registered(destinations, new.job.project)
    held = yield from files.held(new)
    if new.job.adopted_from is not None and not (
        yield from close_doubt(new.job.adopted_from, new.job.created_at)
    ):
        raise DoubtSettledError(new.job.adopted_from)
    reserved = yield from reservations.reserve(new)
    yield Statement(_INSERT, (*state_of(new.job), *request, new.webhook_url))
    yield from reservations.keep((new.job.id, each) for each in reserved.reservations)
    if new.job.adopted_from is not None:
        yield from reservations.move(new.job.adopted_from, new.job.id)
    yield from _add_metadata(new.job)
    yield from files.link(new.job, held)
    yield from add_deliveries(new.job, destinations)
    if new.idempotency:
        yield from idempotency.keep(new.idempotency, new.job.id, new.job.created_at)
    if one is not None:
        yield from client_calls.keep(one, call, new.job.id)
    announced = yield from reservations.announce(reserved, new.job.created_at)
    if new.audit is not None:
        yield from audit.add(new.audit)
    return Created(new.job.id, announced=announced)


def _check_priority(job: Job) -> Operation[None]:
    """Raise `PriorityRefusedError` if the project may not have jobs of this priority."""
    if job.priority <= Priority.NORMAL:
        return
    rows = yield Statement("SELECT priority_max FROM projects WHERE id = ?1", (job.project,))
    if rows and job.priority > rows[0][0]:
        raise PriorityRefusedError(Priority(job.priority), rows[0][0])


def _add_metadata(job: Job) -> Operation[None]:
    """Store the metadata again as rows, by which jobs are found."""
    yield from concurrently(
        [
            query(
                "INSERT INTO job_metadata (name, value, created_at, job_id, project)"
                " VALUES (?1, ?2, ?3, ?4, ?5)",
                (name, value, job.created_at, job.id, job.project),
            )
            for name, value in labels_of(job).metadata.items()
        ]
    )


def _known(new: NewJob) -> Operation[Created | None]:
    if new.idempotency:
        before = yield from replays.of_key(new.idempotency)
        if before:
            return before
    if new.job.provider_job_id is not None:
        return (yield from _watched(new, new.job.provider_job_id))
    return None


def _watched(new: NewJob, provider_job_id: str) -> Operation[Created | None]:
    """Return the job that has the provider's job already.

    A video is adopted once, also if another account of its server has it.
    Raises `UnknownProviderJobError` if that is a job of a project which the creator does not see.
    """
    account = new.job.account
    rows = yield from _with_provider_job((account, *new.sharing), provider_job_id)
    for job_id, holder, project in rows:
        if not new.shows(project):
            raise UnknownProviderJobError(account, provider_job_id)
        if holder == account or new.job.adopted_from is not None:
            yield from deleting.check_not_deleted(job_id)
            return Created(job_id, replayed=True)
    return None


def _with_provider_job(accounts: Sequence[str], provider_job_id: str) -> Operation[list[Row]]:
    found = yield from concurrently(
        [
            query(
                "SELECT id, account, project FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
                (account, provider_job_id),
            )
            for account in accounts
        ]
    )
    return [row for rows in found for row in rows]


def record(changes: Sequence[Change], lease: Lease | None) -> Operation[list[str]]:
    """Write states, events and cursors; return the ids of the jobs that were written."""
    written: list[str] = []
    if not (yield from holds(lease)):
        return written
    for batch in conflict_free_batches(changes, lambda change: (change.job.id,)):
        recorded = yield from concurrently([_record_one(change, lease) for change in batch])
        done = [change.job for change, is_done in zip(batch, recorded, strict=True) if is_done]
        yield from turns.take([job for job in done if job.beginning])
        written += [job.id for job in done]
    return written


def _record_one(change: Change, lease: Lease | None) -> Operation[bool]:
    fence = (lease.id, lease.epoch) if lease else (None, None)
    if not (yield Statement(_UPDATE, (*_changed_state_of(change.job), *fence))):
        return False
    if change.audit is not None:
        yield from audit.add(change.audit)
    for event in change.events:
        yield from offer(event, change.other_body)
    yield from event_writes.add(change)
    if change.job.status.terminal:
        bill = change.bill or bill_of(change.job)
        spent = yield from reservations.settle(change.job.id, bill)
        yield from late_checks.enroll(change.job, spent)
    if change.job.status is Status.COMPLETED:
        yield from archive.enroll(change.job)
    return True


def accept(
    change: Change, lease: Lease | None, sharing: Sequence[str] = ()
) -> Operation[Acceptance]:
    """Record that the provider has the job. A create's own response dislodges an adoption."""
    job = change.job
    rows = yield from _holders((job.account, *sharing), job)
    if rows:
        holder = job_of(rows[0])
        if not job.adopted and not holder.adopted:
            return Acceptance.DUPLICATE
        if job.adopted or holder.status.terminal:
            return Acceptance.TAKEN
        # Check first: no job may be dislodged for a claim that then fails.
        if not (yield from _may_change(job, lease)):
            return Acceptance.STALE
        if not (yield from _record_one(Change(dislodged(holder, job.updated_at)), None)):
            return Acceptance.STALE  # the holder has just changed: the caller reads again
    recorded = yield from _record_one(change, lease)
    return Acceptance.RECORDED if recorded else Acceptance.STALE


def _may_change(job: Job, lease: Lease | None) -> Operation[bool]:
    """Return True if a change of the job will be written, and lock the row to guarantee it."""
    rows = yield Statement(
        "SELECT 1 FROM jobs WHERE id = ?1 AND version = ?2"
        " AND status NOT IN ('completed', 'failed', 'canceled') /*pg FOR UPDATE */",
        (job.id, job.version),
    )
    return bool(rows) and (yield from holds(lease))


def _holders(accounts: Sequence[str], job: Job) -> Operation[list[Row]]:
    """Return the rows (`STATE`) of other jobs that hold the same video at the provider."""
    found = yield from concurrently(
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


def record_check(job_id: str, now: Instant, *, project: str | None = None) -> Operation[None]:
    """Store the time at which a job was last read by itself."""
    owned, owner = of_project(project, 3)
    yield Statement(f"UPDATE jobs SET checked_at = ?2 WHERE id = ?1{owned}", (job_id, now, *owner))
