"""Transitions of a job that has ended: its status stays, and clients get an event of their own."""

from dataclasses import replace

from reelhook.domain.event import Event, EventKind, Instant, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Finished


def recovered(job: Job, found: Finished, now: Instant) -> tuple[Job, tuple[Event, ...]]:
    """Record that the video of a failed job has turned up at its provider.

    The same job comes back if it has not failed, or was recovered before.
    """
    if job.status is not Status.FAILED or job.recovered_at is not None:
        return job, ()
    after = replace(
        job,
        recovered_at=now,
        content_url=found.url,
        content_expires_at=None if found.expires_at is None else found.expires_at * 1000,
        updated_at=now,
    )
    if found.cost is not None:
        after = replace(after, charged_amount=found.cost.amount, charged_unit=found.cost.unit)
    return _reported(after, EventKind.RECOVERED, job.error, now)


def archive_failed(job: Job, error: str, now: Instant) -> tuple[Job, tuple[Event, ...]]:
    """Report that the file of a finished job could not be archived.

    The same job comes back if it has no file.
    """
    if job.status is not Status.COMPLETED and job.recovered_at is None:
        return job, ()
    return _reported(job, EventKind.ARCHIVE_FAILED, error, now)


def _reported(
    job: Job, kind: EventKind, error: str | None, now: Instant
) -> tuple[Job, tuple[Event, ...]]:
    after = replace(job, sequence=job.sequence + 1)
    expires_at, completed = job.content_expires_at, job.status is Status.COMPLETED
    event = Event(
        job_id=job.id,
        sequence=after.sequence,
        kind=kind,
        status=WireStatus.COMPLETED if completed else WireStatus.FAILED,
        progress=job.progress,
        occurred_at=now,
        provider_job_id=job.provider_job_id,
        error=error,
        code=job.code,
        provider_video_url=job.content_url,
        content_expires_at=None if expires_at is None else expires_at // 1000,
    )
    return after, (event,)
