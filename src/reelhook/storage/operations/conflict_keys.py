"""Conflict keys of the frequent writes. Writes that share no key may run concurrently.

Each function takes the same arguments as its operation. A key represents rows that the operation
writes, or reads for its decisions. Only rows that another write with declared keys may change need
a key: a write without declared keys runs alone.
"""

from collections.abc import Hashable, Sequence

from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant, job_id_of
from reelhook.domain.job import Job
from reelhook.domain.request import VideoRequest
from reelhook.ports import Change, ClientTry, Lease, NewJob, Settlement
from reelhook.storage.operation import ConflictKeys


def of_new(new: NewJob) -> ConflictKeys:
    """Return the keys of a new job: the job, its key or call, its provider job, its origin."""
    keys = _of_job(new.job)
    if new.job.adopted_from is not None:
        keys.append(new.job.adopted_from)
    if new.idempotency:
        # Without the holder: the keys of `SOLE_HOLDER` match those of every other one.
        keys.append(("idempotency", new.idempotency.key))
    elif new.client_try:
        keys.append(("client call", new.client_try.hash))
    return keys


def of_record(changes: Sequence[Change], lease: Lease | None) -> ConflictKeys:
    """Return the keys of recording changes: the jobs, with their deliveries, and turns."""
    keys = [key for change in changes for key in _of_job(change.job)]
    accounts = {change.job.account for change in changes if change.job.beginning}
    return [*keys, *(("turns", account) for account in accounts)]


def of_acceptance(
    change: Change,
    lease: Lease | None,
    sharing: Sequence[str] = (),
) -> ConflictKeys:
    """Return the keys of recording an acceptance: the job and the provider's job."""
    return _of_job(change.job)


def of_settlement(settlement: Settlement) -> ConflictKeys:
    """Return the keys of recording an attempt: its job's deliveries, and maybe its endpoint."""
    if settlement.reopened:
        return None  # it releases other deliveries too
    keys: list[Hashable] = [job_id_of(settlement.attempt.event_id)]
    if settlement.endpoint is not None:
        keys.append(("endpoint", settlement.endpoint.id))
    return keys


def of_job(job_id: str, now: Instant, *, project: str | None = None) -> ConflictKeys:
    """Return the key of a write to one job."""
    return (job_id,)


def of_doubt(
    job_id: str,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> ConflictKeys:
    """Return the key of settling one job's doubt."""
    return (job_id,)


def of_prepared(job: Job, request: VideoRequest, lease: Lease | None) -> ConflictKeys:
    """Return the key of the files of a waiting job."""
    return (job.id,)


def of_use(call_hash: str, job_id: str) -> ConflictKeys:
    """Return the key of the use of a job: all calls with this hash."""
    return (("client call", call_hash),)


def of_lost_response(one: ClientTry, job_id: str) -> ConflictKeys:
    """Return the key of a lost response: all calls that equal this one."""
    return (("client call", one.hash),)


def of_refused_call(one: ClientTry) -> ConflictKeys:
    """Return the key of a refusal: all calls that equal this one."""
    return (("client call", one.hash),)


def _of_job(job: Job) -> list[Hashable]:
    if job.provider_job_id is None:
        return [job.id]
    return [job.id, ("provider", job.provider_job_id)]
