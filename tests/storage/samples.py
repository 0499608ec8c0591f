"""Jobs, changes and attempts for the tests, and short ways to store them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.domain.event import Event
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Failed, Finished, Progress
from reelhook.domain.request import VideoRequest
from reelhook.domain.schedule import RetrySchedule
from reelhook.doors.compat.payload import event_body
from reelhook.ports import (
    Acceptance,
    Change,
    Destination,
    DueDeliveries,
    DueDelivery,
    IdempotencyKey,
    Lease,
    NewJob,
    Settlement,
)
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.store import Store

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
ACCOUNT = "acme"
URL = "https://h.example/hook"
CAT = VideoRequest(prompt="A cat in the rain", model="sora-2")
RUNNING = Progress(running=True, percent=40)
FINISHED = Finished("https://cdn.example/v.mp4", expires_at=1_767_229_200)
FAILED = Failed("moderation", "Not this prompt")
SCHEDULE = RetrySchedule((5, 30))
ENDPOINT = Endpoint("ep_1", EndpointKind.REGISTERED, URL, trusted=False, created_at=NOW)
OK, REFUSED, GONE = (WebhookResponse(duration_ms=7, status=status) for status in (204, 500, 410))


def statement(text: str, *parameters: Any) -> Operation[list[Row]]:
    """Run one statement."""
    return (yield Statement(text, parameters))


# -- new jobs --------------------------------------------------------------------------------------


def new(
    job_id: str = "job_1",
    *,
    at: int = NOW,
    urls: Iterable[str] = (URL,),
    endpoints: Iterable[str] = (),
    request: VideoRequest = CAT,
    account: str = ACCOUNT,
    key: IdempotencyKey | None = None,
    project: str = DEFAULT_PROJECT,
) -> NewJob:
    """A job as a client asks for it."""
    job = Job(
        id=job_id,
        account=account,
        status=Status.ACCEPTED,
        created_at=at,
        updated_at=at,
        submit_due_at=at,
        model=request.model,
        project=project,
    )
    own = tuple(Destination.to(url, project) for url in urls)
    named = tuple(Destination(endpoint_id) for endpoint_id in endpoints)
    return NewJob(job, request, own[0].url if own else None, (*named, *own), key)


def registered(job_id: str, provider_job_id: str, *, at: int = NOW) -> NewJob:
    """A job that someone else created at the provider."""
    made = new(job_id, at=at)
    return replace(made, job=made.job.accept(provider_job_id, at))


async def stored(store: Store, made: NewJob) -> Job:
    """Store a job, and read it back."""
    await store.create(made)
    return (await store.job(made.job.id)).job


async def submitting(store: Store, made: NewJob) -> Job:
    """Store a job whose create call is in flight."""
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
    return Change(job, events, tuple(event_body(event, "https://us.example/v") for event in events))


async def moved(store: Store, transition: Transition) -> Job:
    """Record a transition that cannot conflict. Return the job as it is now."""
    job_id = transition[0].id
    assert await store.record([change(transition)], None) == [job_id]
    return (await store.job(job_id)).job


# -- deliveries ------------------------------------------------------------------------------------


async def telling(
    store: Store,
    job_id: str,
    *urls: str,
    endpoints: Iterable[str] = (),
    at: int = NOW,
    project: str = DEFAULT_PROJECT,
) -> Job:
    """Store a job whose first event, a change of status, is due `at` at each destination."""
    made = new(job_id, urls=urls, endpoints=endpoints, project=project)
    job = await queued(store, made, f"video_{job_id}")
    return await moved(store, job.apply(RUNNING, at))


async def look(
    store: Store,
    now: int = NOW,
    *,
    per_endpoint: int = 10,
    limit: int = 100,
    busy: frozenset[str] = frozenset(),
) -> DueDeliveries:
    """Look for what is due."""
    return await store.due_deliveries(now, per_endpoint=per_endpoint, limit=limit, busy=busy)


def flat(due: DueDeliveries) -> list[DueDelivery]:
    """Return the due deliveries of all endpoints."""
    return [one for endpoint in due.endpoints for one in endpoint.deliveries]


async def due_now(store: Store, now: int = NOW) -> list[DueDelivery]:
    """Return the due deliveries of all endpoints."""
    return flat(await look(store, now))


def jobs(due: DueDeliveries) -> list[str]:
    """The jobs whose deliveries are due."""
    return [one.delivery.job_id for one in flat(due)]


def attempt(
    due: DueDelivery,
    answer: WebhookResponse,
    *,
    number: int = 1,
    at: int = NOW + 5,
    probe: bool = False,
) -> Attempt:
    """An attempt of a due delivery's next event."""
    return Attempt(
        delivery_id=due.delivery.id,
        event_id=due.event.event_id,
        sequence=due.event.sequence,
        number=number,
        started_at=at,
        response=answer,
        probe=probe,
    )


async def settled(
    store: Store,
    due: DueDelivery,
    answer: WebhookResponse,
    *,
    at: int = NOW + 5,
    endpoint: Endpoint | None = None,
    reopened: bool = False,
    still_open: bool = False,
    schedule: RetrySchedule = SCHEDULE,
    probe: bool = False,
) -> Delivery:
    """Settle an attempt as the engine does."""
    made = attempt(due, answer, number=due.delivery.attempts + 1, at=at, probe=probe)

    def decide(current: Delivery) -> Delivery:
        now = at + answer.duration_ms
        return current.settle(
            made.sequence, answer, now, probe=probe, schedule=schedule, random=Random(1)
        )

    moved = await store.settle(Settlement(made, decide, endpoint, reopened, still_open))
    assert moved is not None
    return moved


async def exhausted(store: Store, due: DueDelivery, *, at: int = NOW + 5) -> Delivery:
    """Settle the last attempt that the schedule grants."""
    return await settled(store, due, REFUSED, at=at, schedule=RetrySchedule(()))


async def take(store: Store, ids: Sequence[str], owner: str) -> list[Lease]:
    """Give leases to a worker, even if another one has them."""
    await store.free_leases()
    held, _ = await store.heartbeat(owner, ids, 10**9)
    return held
