"""What the frequent writes touch: those with nothing in common may run side by side."""

from collections.abc import Hashable, Iterable

from reelhook.domain.event import job_id_of
from reelhook.domain.job import Job
from reelhook.ports import Change, NewJob, Settlement
from reelhook.storage.operation import ConflictKeys


def of_new(new: NewJob) -> ConflictKeys:
    """Return what storing a job touches: the job, its key, the provider's job, and its doubt."""
    touched = _of_job(new.job)
    if new.job.adopted_from is not None:
        touched.append(new.job.adopted_from)
    if new.idempotency:
        touched.append((new.idempotency.holder, new.idempotency.key))
    return touched


def of_changes(changes: Iterable[Change]) -> ConflictKeys:
    """Return what recording changes touches: the jobs, with their deliveries."""
    return [one for change in changes for one in _of_job(change.job)]


def of_settlement(settlement: Settlement) -> ConflictKeys:
    """Return what settling touches: one delivery of a job, and maybe its endpoint."""
    if settlement.reopened:
        return None  # it releases other deliveries too
    touched: list[Hashable] = [job_id_of(settlement.attempt.event_id)]
    if settlement.endpoint is not None:
        touched.append(("endpoint", settlement.endpoint.id))
    return touched


def _of_job(job: Job) -> list[Hashable]:
    if job.provider_job_id is None:
        return [job.id]
    return [job.id, ("provider", job.provider_job_id)]
