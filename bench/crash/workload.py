"""The jobs of a run and how they go on: what watching does, without a provider."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Self

from reelhook.core.recording import Recording, Transition
from reelhook.domain.delivery import Attempt, WebhookResponse
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.domain.errors import JobNotFoundError, ResendNotFoundError
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Failed, Finished, Progress, Report
from reelhook.domain.request import VideoRequest
from reelhook.domain.schedule import RetrySchedule
from reelhook.ports import Clock, Destination, DueDelivery, Lease, NewJob, Resend, Settlement
from reelhook.storage.store import Store

ACCOUNT = "crash"
LEASE_MILLISECONDS = 10**9
JOBS = 8
HOOKS = 3
RESEND = "rsd_crash"
PAUSE_SECONDS_MAX = 0.004
MOVING = 0.7
"""The share of the jobs that a round finds changed."""
_RUNNING = tuple(Progress(running=True, percent=percent) for percent in (10, 25, 45, 60, 80))
EVENTS = len(_RUNNING) + 1


@dataclass(frozen=True, slots=True)
class Workload:
    """The jobs of one run. `url` is the receivers', with the run's own first step of the path."""

    name: str
    url: str

    @property
    def job_ids(self) -> list[str]:
        return [f"job_{self.name}_{number}" for number in range(JOBS)]

    def destination(self, job_id: str) -> str:
        """Where the job's own URL points: few endpoints serve several jobs each."""
        number = self.job_ids.index(job_id)
        return f"{self.url}/hook/{number % HOOKS}?job={number}"

    @property
    def broadcast(self) -> str:
        """Where every job's events go."""
        return f"{self.url}/all"

    def ends_well(self, job_id: str) -> bool:
        return self.job_ids.index(job_id) % 4 != 3

    def report(self, job: Job) -> Report:
        """What the provider says next of a job that has told as many events as it has."""
        if job.sequence < len(_RUNNING):
            return _RUNNING[job.sequence]
        if self.ends_well(job.id):
            return Finished(f"https://cdn.example/{job.id}.mp4")
        return Failed("moderation", "Not this prompt")


class Told:
    """The events that a worker was told are durable: in a file, since the worker will die."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def keep(self, transitions: Sequence[Transition], written: Sequence[Job]) -> None:
        ids = {job.id for job in written}
        lines = [
            f"{event.id}\n" for job, events in transitions if job.id in ids for event in events
        ]
        os.write(self._descriptor, "".join(lines).encode())


@dataclass(frozen=True, slots=True)
class Feed:
    """Makes the jobs and moves them on, from wherever the worker before this one was killed."""

    work: Workload
    store: Store
    recording: Recording
    clock: Clock
    told: Told
    chance: Random

    async def set_up(self) -> Lease:
        if not await self.store.endpoints():
            await self.store.create_endpoint(
                Endpoint(
                    "ep_all",
                    EndpointKind.REGISTERED,
                    self.work.broadcast,
                    trusted=True,
                    created_at=self.clock.now(),
                    broadcast=True,
                )
            )
        await asyncio.gather(*(self._create(job_id) for job_id in self.work.job_ids))
        (lease,), _ = await self.store.heartbeat(
            str(os.getpid()), [f"account:{ACCOUNT}"], LEASE_MILLISECONDS
        )
        return lease

    async def _create(self, job_id: str) -> None:
        try:
            await self.store.job(job_id)
        except JobNotFoundError:
            now, url = self.clock.now(), self.work.destination(job_id)
            job = Job(job_id, ACCOUNT, Status.ACCEPTED, created_at=now, updated_at=now)
            request = VideoRequest(prompt="A lighthouse in a storm", model="sora-2")
            registered = job.accept(f"video_{job_id}", now)
            await self.store.create(NewJob(registered, request, url, (Destination.to(url),)))

    async def run(self) -> None:
        """Move all jobs to their end, some in one record, others each in its own at once."""
        lease = await self.set_up()
        while jobs := await self.store.jobs_to_watch(ACCOUNT):
            moving = [job for job in jobs if self.chance.random() < MOVING]
            half = len(moving) // 2
            alone = [[job] for job in moving[half:]]
            await asyncio.gather(*(self._move(some, lease) for some in (moving[:half], *alone)))
            await asyncio.sleep(self.chance.uniform(0.0, PAUSE_SECONDS_MAX))

    async def _move(self, jobs: Sequence[Job], lease: Lease) -> None:
        now = self.clock.now()
        transitions = [job.apply(self.work.report(job), now) for job in jobs]
        written = await self.recording.record(transitions, lease)
        self.told.keep(transitions, written)

    async def run_to_failure(self) -> None:
        """Move all jobs to their end with every attempt of every event failed; then resend all."""
        try:
            await self.store.resend(RESEND)
        except ResendNotFoundError:
            lease = await self.set_up()
            while jobs := await self.store.jobs_to_watch(ACCOUNT):
                await self._move(jobs, lease)
                await self._fail_due()
            await self.store.start_resend(Resend(RESEND, 0, self.clock.now()))

    async def _fail_due(self) -> None:
        now = self.clock.now()
        found = await self.store.due_deliveries(
            now, per_endpoint=JOBS, limit=1000, busy=frozenset()
        )
        every = [due for endpoint in found.endpoints for due in endpoint.deliveries]
        await asyncio.gather(*(self.store.settle(_failed(due, now)) for due in every))


def _failed(due: DueDelivery, now: int) -> Settlement:
    answer = WebhookResponse(duration_ms=0, status=500)
    sequence = due.event.sequence
    attempt = Attempt(due.delivery.id, due.event.event_id, sequence, 1, now, answer)
    never_again = RetrySchedule(())
    chance = Random(0)  # noqa: S311  # there is no wait to spread
    return Settlement(
        attempt,
        lambda current: current.settle(
            sequence, answer, now, probe=False, schedule=never_again, random=chance
        ),
    )
