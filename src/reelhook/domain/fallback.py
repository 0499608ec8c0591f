"""The move of a job to another model after the previous one definitely did not accept it."""

from dataclasses import replace

from reelhook.domain.event import Event, EventKind, Instant, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.domain.price import Price


def fall_back(
    job: Job,
    *,
    account: str,
    provider: str,
    model: str,
    pinned: bool,
    estimate: Price | None,
    given_up: int,
    code: str,
    message: str,
    now: Instant,
) -> tuple[Job, tuple[Event, ...]]:
    """Return the job for its next model; `code` and `message` say why the last one refused it.

    `estimate` is the price with the next model; None: not known.
    """
    moved = replace(
        job,
        status=Status.ACCEPTED,
        account=account,
        provider=provider,
        model=model,
        pinned=pinned,
        estimated_amount=None if estimate is None else estimate.amount,
        estimated_unit=None if estimate is None else estimate.unit,
        model_since=now,
        fallback=given_up,
        sequence=job.sequence + 1,
        submit_attempts=0,
        submit_due_at=now,
        doubt_since=None,
        last_response=None,
        waiting_since=None,
        creates_absent=0,
        updated_at=now,
    )
    event = Event(
        job_id=moved.id,
        sequence=moved.sequence,
        kind=EventKind.FALLBACK,
        status=WireStatus.QUEUED,
        progress=moved.progress,
        occurred_at=now,
        provider_job_id=None,
        error=message,
        code=code,
        model=f"{provider}/{model}",
    )
    return moved, (event,)
