"""Jobs, changes and attempts for the tests, and short ways to store them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from reelhook.domain.delivery import Answer, Attempt
from reelhook.domain.event import Event
from reelhook.domain.job import Job, Status, VideoRequest
from reelhook.domain.report import Failed, Finished, Progress
from reelhook.ports import (
    Acceptance,
    Change,
    Destination,
    DueDelivery,
    IdempotencyKey,
    NewJob,
)
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.store import Store

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
ACCOUNT = "acme"
URL = "https://h.example/hook"
CAT = VideoRequest(script="A cat in the rain", model="sora-2")
RUNNING = Progress(running=True, percent=40)
FINISHED = Finished("https://cdn.example/v.mp4", expires_at=1_767_229_200)
FAILED = Failed("moderation", "Not this prompt")
OK, REFUSED, GONE = (Answer(duration_ms=7, status=status) for status in (204, 500, 410))


def statement(text: str, *parameters: Any) -> Operation[list[Row]]:
    """Run one statement."""
    return (yield Statement(text, parameters))


# -- new jobs --------------------------------------------------------------------------------------


def new(
    job_id: str = "job_1",
    *,
    at: int = NOW,
    urls: Iterable[str] = (URL,),
    request: VideoRequest = CAT,
    account: str = ACCOUNT,
    key: IdempotencyKey | None = None,
) -> NewJob:
    """A job as a client asks for it."""
    job = Job(id=job_id, account=account, status=Status.ACCEPTED, created_at=at, updated_at=at)
    destinations = tuple(Destination.to(url) for url in urls)
    webhook_url = destinations[0].url if destinations else None
    return NewJob(job, request, webhook_url, destinations, key)


def registered(job_id: str, provider_job_id: str, *, at: int = NOW) -> NewJob:
    """A job that someone else created at the provider."""
    made = new(job_id, at=at)
    return replace(made, job=made.job.accept(provider_job_id, at))


async def stored(store: Store, made: NewJob) -> Job:
    """Store a job, and read it back."""
    await store.create(made)
    return (await store.job(made.job.id)).job


async def submitting(store: Store, made: NewJob) -> Job:
    """Store a job whose create call is under way."""
    job = await stored(store, made)
    return await moved(store, (job.submitting(NOW), ()))


async def queued(store: Store, made: NewJob, provider_job_id: str) -> Job:
    """Store a job that the provider has accepted."""
    job = await submitting(store, made)
    accepted = change((job.accept(provider_job_id, NOW), ()))
    assert await store.accept(accepted, None) is Acceptance.RECORDED
    return (await store.job(job.id)).job


# -- changes ---------------------------------------------------------------------------------------

Transition = tuple[Job, tuple[Event, ...]]


def change(transition: Transition) -> Change:
    """A transition with the bodies of its webhooks."""
    job, events = transition
    return Change(job, events, tuple(event.body("https://us.example/v") for event in events))


async def moved(store: Store, transition: Transition) -> Job:
    """Record a transition that nothing stands against; return the job as it is now."""
    job_id = transition[0].id
    assert await store.record([change(transition)], None) == [job_id]
    return (await store.job(job_id)).job


# -- attempts --------------------------------------------------------------------------------------


def attempt(due: DueDelivery, answer: Answer, *, number: int = 1) -> Attempt:
    """An attempt of a due delivery's next event."""
    return Attempt(
        delivery_id=due.delivery.id,
        event_id=due.event.event_id,
        sequence=due.event.sequence,
        number=number,
        started_at=NOW + 5,
        answer=answer,
    )
