"""Transitions of a job whose create was lost: it is, or was, unknown whether a provider has it."""

from dataclasses import replace

from reelhook.domain.event import Event, EventKind, Instant, WireStatus
from reelhook.domain.job import Job, Status


def found_absent(job: Job, due_at: Instant, now: Instant) -> Job:
    """Submit a job again at `due_at`, because its create provably left nothing at the provider."""
    return replace(job.submit_again(due_at, now), creates_absent=job.creates_absent + 1)


def dislodged(job: Job, now: Instant) -> Job:
    """Put a job in doubt again, because the entry that it had adopted belongs to another job.

    The response to the other job's own create had this id.
    """
    return replace(
        job,
        status=Status.SUBMITTING,
        provider_job_id=None,
        adopted=False,
        accepted_at=None,
        missing_since=None,
        doubt_since=now,
        exchange_ended=False,
        updated_at=now,
    )


def resubmitted(job: Job, now: Instant) -> tuple[Job, tuple[Event, ...]]:
    """Submit a job again that its restarted server has lost and does not render.

    Clients get an event, unless their last event already said that the job waits.
    """
    again = replace(
        job,
        status=Status.ACCEPTED,
        progress=0,
        provider_job_id=None,
        adopted=False,
        accepted_at=None,
        missing_since=None,
        submit_attempts=0,
        submit_due_at=now,
        submit_after=None,
        doubt_since=None,
        last_response=None,
        waiting_since=None,
        creates_absent=0,
        exchange_ended=False,
        forgotten=job.forgotten + 1,
        updated_at=now,
    )
    if job.status is Status.QUEUED and job.progress == 0:
        return again, ()
    again = replace(again, sequence=job.sequence + 1)
    event = Event(
        job_id=again.id,
        sequence=again.sequence,
        kind=EventKind.STATUS,
        status=WireStatus.QUEUED,
        progress=0,
        occurred_at=now,
        provider_job_id=job.provider_job_id,
    )
    return again, (event,)
