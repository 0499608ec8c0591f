"""What the store is made to do: jobs that are asked for, change, and are told to endpoints."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import TypeVar

from reelhook.domain.delivery import Attempt, WebhookResponse
from reelhook.domain.endpoint import lane_of
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Progress
from reelhook.domain.request import VideoRequest
from reelhook.domain.schedule import RetrySchedule
from reelhook.doors.compat.payload import event_body
from reelhook.engine.delivering.deliver import READY_MAX, READY_PER_ENDPOINT
from reelhook.engine.leases import LANE_IDS
from reelhook.ports import (
    Change,
    Destination,
    DueDelivery,
    IdempotencyKey,
    Lease,
    NewJob,
    Settlement,
)
from reelhook.storage.operation import Database
from reelhook.storage.operations.rows import REQUEST_COLUMNS, STATE_COLUMNS
from reelhook.storage.store import Store

from .store_databases import execute

T = TypeVar("T")
ACCOUNT = "bench"
_REQUEST = VideoRequest(prompt="A cat in the rain, seen from a moving tram " * 4, model="sora-2")
_NUMBERS = (
    "WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(?1 AS INTEGER))"
)
_JOB = (*[name for name in (*STATE_COLUMNS, *REQUEST_COLUMNS) if name != "id"], "title")
_OTHERWISE = {"provider_job_id": "NULL", "account": "'bulk'"}


def now() -> int:
    return time.time_ns() // 1_000_000


def new(job_id: str, url: str, at: int) -> NewJob:
    """A job as it comes over the API: with a webhook and an idempotency key."""
    job = Job(id=job_id, account=ACCOUNT, status=Status.ACCEPTED, created_at=at, updated_at=at)
    key = IdempotencyKey("bench", f"key-{job_id}", "f" * 64)
    return NewJob(job, _REQUEST, url, (Destination.to(url),), key)


def endpoint_url(number: int) -> str:
    return f"https://receiver-{number}.example/hook"


async def spread(works: Iterable[Callable[[], Awaitable[T]]], callers: int) -> list[T]:
    """Run works by that many callers at once, each the next when its last has ended."""
    waiting, results = iter(works), list[T]()

    async def call() -> None:
        for work in waiting:
            results.append(await work())

    await asyncio.gather(*(call() for _ in range(callers)))
    return results


async def watched(
    store: Store, prefix: str, count: int, endpoints: int, first: int = 0
) -> list[Job]:
    """Store jobs that the provider has accepted; return them as they stand."""
    at = now()
    urls = [endpoint_url(first + number % endpoints) for number in range(count)]
    jobs = [new(f"{prefix}_{number}", url, at) for number, url in enumerate(urls)]
    await spread([partial(store.create, one) for one in jobs], 512)
    changes = [Change(one.job.submitting(at).accept(f"video_{one.job.id}", at)) for one in jobs]
    for begin in range(0, count, 1000):
        await store.record(changes[begin : begin + 1000], None)
    mine = {one.job.id for one in jobs}
    return [job for job in await store.jobs_to_watch(ACCOUNT) if job.id in mine]


def progressed(job: Job, percent: int) -> Change:
    """What a round makes of a job whose progress changed."""
    after, events = job.apply(Progress(running=True, percent=percent), now())
    return Change(
        after, events, tuple(event_body(event, "https://us.example/v") for event in events)
    )


def settlement(due: DueDelivery, lease: Lease) -> Settlement:
    """A receiver that answers 204."""
    answer, at = WebhookResponse(duration_ms=5, status=204), now()
    attempt = Attempt(due.delivery.id, due.event.event_id, due.event.sequence, 1, at, answer)
    return Settlement(
        attempt,
        lambda current: current.settle(
            due.event.sequence,
            answer,
            at,
            probe=False,
            schedule=RetrySchedule(),
            random=Random(1),  # noqa: S311 - no secret
        ),
        lease=lease,
    )


async def deliver(
    store: Store, count: int, see: Callable[[DueDelivery], None] = lambda _: None
) -> int:
    """Settle what is due, in looks as the engine takes them, until so many are settled."""
    leases, _ = await store.heartbeat("bench", LANE_IDS, 3_600_000)
    lanes = frozenset(range(len(leases)))
    settled = 0
    while settled < count:
        found = await store.due_deliveries(
            now(), lanes=lanes, per_endpoint=READY_PER_ENDPOINT, limit=READY_MAX, busy=frozenset()
        )
        due = [one for endpoint in found.endpoints for one in endpoint.deliveries]
        for one in due:
            see(one)
        settlements = [
            settlement(one, leases[lane_of(endpoint.endpoint.id)])
            for endpoint in found.endpoints
            for one in endpoint.deliveries
        ]
        await asyncio.gather(*(store.settle(one) for one in settlements))
        settled += len(due)
    return settled


async def multiply(database: Database, job_id: str, count: int) -> None:
    """Make many jobs like this one, each with its first event waiting at the same endpoint."""
    columns = ", ".join(_JOB)
    taken = ", ".join(_OTHERWISE.get(name, name) for name in _JOB)
    await execute(
        database,
        f"{_NUMBERS} INSERT INTO jobs (id, {columns})"  # noqa: S608 - constant columns
        f" SELECT 'bulk_' || n, {taken} FROM jobs, numbers WHERE id = ?2",
        count,
        job_id,
    )
    await execute(
        database,
        f"{_NUMBERS} INSERT INTO events"  # noqa: S608 - as above
        " (id, job_id, sequence, kind, status, progress, occurred_at, body, position)"
        " SELECT 'evt_bulk_' || n || '_1', 'bulk_' || n, sequence, kind, status, progress,"
        " occurred_at, body, 1000000000 + n FROM events, numbers WHERE job_id = ?2",
        count,
        job_id,
    )
    await execute(
        database,
        f"{_NUMBERS} INSERT INTO deliveries"  # noqa: S608 - as above
        " (job_id, endpoint_id, lane, url, status_sequence, due_at)"
        " SELECT 'bulk_' || n, endpoint_id, lane, url, status_sequence, due_at - n"
        " FROM deliveries, numbers WHERE job_id = ?2",
        count,
        job_id,
    )
    await execute(database, "ANALYZE")


async def settle_at_once(database: Database, count: int) -> None:
    """Settle the oldest of the loud endpoint: what a long time of delivering leaves behind."""
    await execute(
        database,
        "UPDATE deliveries SET due_at = NULL, status_sequence = NULL, outcome = 'delivered'"
        " WHERE id IN (SELECT id FROM deliveries WHERE due_at IS NOT NULL"
        " ORDER BY lane, endpoint_id, due_at LIMIT CAST(?1 AS INTEGER))",
        count,
    )


async def at_rate(
    works: Sequence[Callable[[], Awaitable[object]]], per_second: float
) -> list[float]:
    """Begin works at a steady rate, whatever becomes of them; return their seconds."""
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def timed(work: Callable[[], Awaitable[object]], moment: float) -> float:
        await work()
        return loop.time() - moment  # from when it should have begun: a late start counts too

    tasks = []
    for number, work in enumerate(works):
        moment = begin + number / per_second
        if (wait := moment - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(timed(work, moment)))
    return await asyncio.gather(*tasks)
