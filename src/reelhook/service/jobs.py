"""The use cases about jobs: ask for one, follow it, act on it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from random import Random

import structlog

from reelhook.core.recording import Recording, Transition, log_registered
from reelhook.core.wakeups import Follower, Signals
from reelhook.domain.catalog import Catalog
from reelhook.domain.conflicts import (
    AlreadyWatchedError,
    JobEndedError,
    NotCancelableError,
    SubmissionPendingError,
)
from reelhook.domain.endpoint import DEFAULT_ENDPOINT
from reelhook.domain.errors import (
    CommitUnknownError,
    ContentNotReadyError,
    InvalidRequestError,
    JobNotFoundError,
    ProviderError,
)
from reelhook.domain.ids import new_id
from reelhook.domain.job import Job, Status
from reelhook.domain.problem import Problem
from reelhook.domain.report import Failed, Finished, Progress, Report
from reelhook.domain.request import VideoRequest, check_ids, check_request
from reelhook.ports import (
    Clock,
    Content,
    Created,
    Destination,
    IdempotencyKey,
    JobPage,
    NewJob,
    Provider,
    ServiceStore,
    StoredEvent,
    StoredJob,
)
from reelhook.service.following import Followers
from reelhook.service.providers import provider_of
from reelhook.service.reading_back import read_back

log = structlog.get_logger()
WRITE_TRIES = 5


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the operator decided."""

    has_default_endpoint: bool
    """Whether WEBHOOK_URL is set."""
    submit_wait_seconds: float
    """How long a cancel waits for the outcome of a submit that is under way."""


class Jobs:
    """The use cases, over one store and the providers' accounts."""

    def __init__(
        self,
        store: ServiceStore,
        providers: Mapping[str, Provider],
        catalog: Catalog,
        recording: Recording,
        signals: Signals,
        options: ServiceOptions,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._providers = providers
        self._recording = recording
        self._signals = signals
        self._options = options
        self._clock = clock
        self._random = random
        self._catalog = catalog
        self._following = Followers(store, signals, clock=clock)

    # -- new jobs -----------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        webhook_url: str | None = None,
        idempotency: IdempotencyKey | None = None,
        endpoints: Sequence[str] = (),
    ) -> Created:
        """Store a new job and have it created at the provider. Returns before that happens.

        Its events go to `webhook_url` and to the registered `endpoints`; where neither is given,
        to the default endpoint. Raises `InvalidRequestError`, for an endpoint
        that there is not too, and for what the model, or one of its fallbacks, can't do.
        """
        check_request(request)
        choice = self._catalog.choose(request.model)
        choice.check(request)
        for fallback in request.fallbacks:
            self._catalog.choose(fallback, "fallbacks").check(request)
        request = replace(request, model=choice.model)
        now = self._clock.now()
        job = Job(
            id=new_id("job", now, self._random),
            account=choice.pick(self._random).id,
            status=Status.ACCEPTED,
            created_at=now,
            updated_at=now,
            submit_due_at=now,
            provider=choice.provider,
            model=choice.model,
            pinned=choice.pinned,
        )
        try:
            return await self._create(job, request, webhook_url, endpoints, idempotency)
        finally:
            self._signals.submit.tell()  # it may be there, even where nobody can say so

    async def register(
        self,
        provider_job_id: str,
        job_id: str | None = None,
        webhook_url: str | None = None,
        endpoints: Sequence[str] = (),
        account: str | None = None,
    ) -> Created:
        """Watch a job that was created at the provider by someone else. Twice is once.

        `account` None: the first of the default provider. Raises `JobIdTakenError` when the id, or
        the provider's job under another id, is taken, and `InvalidRequestError` for what is no id
        or no account.
        """
        check_ids(provider_job_id, job_id)
        where = self._catalog.account(account)
        provider_job_id = self._providers[where.id].id_of(provider_job_id, "")
        now = self._clock.now()
        job = Job(
            id=job_id or new_id("job", now, self._random),
            account=where.id,
            provider=where.provider,
            status=Status.ACCEPTED,
            created_at=now,
            updated_at=now,
        ).accept(provider_job_id, now)
        request = VideoRequest(prompt="")
        try:
            created = await self._create(job, request, webhook_url, endpoints, None)
        finally:
            self._signals.watch.tell()
        if created.replayed and job_id not in {None, created.job_id}:
            raise AlreadyWatchedError(provider_job_id, created.job_id)
        if not created.replayed:
            log_registered(job, webhook_url)
        return created

    async def _create(
        self,
        job: Job,
        request: VideoRequest,
        webhook_url: str | None,
        endpoints: Sequence[str],
        idempotency: IdempotencyKey | None,
    ) -> Created:
        destinations = [Destination(one) for one in dict.fromkeys(endpoints)]
        if webhook_url is not None:
            destinations.append(Destination.to(webhook_url))
        if not destinations and self._options.has_default_endpoint:
            destinations = [Destination(DEFAULT_ENDPOINT)]
        new = NewJob(job, request, webhook_url, tuple(destinations), idempotency)
        try:
            return await self._store.create(new)
        except CommitUnknownError as error:
            raise error.naming(job_id=job.id) from error

    # -- reading ------------------------------------------------------------------------------

    async def job(self, job_id: str) -> StoredJob:
        """Return one job. Raises `JobNotFoundError`."""
        return await self._store.job(job_id)

    async def queue_position(self, job: Job) -> int | None:
        """Return how many jobs of its account are created before a job that waits; of one that the
        provider has queued, how many it renders before, where it tells. Else None.
        """
        if job.status is Status.ACCEPTED:
            return await self._store.jobs_ahead(job)
        provider = self._providers.get(job.account)
        if provider is None or job.status is not Status.QUEUED or job.provider_job_id is None:
            return None
        return provider.ahead(job.provider_job_id)

    async def jobs(
        self, status: Status | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first."""
        return await self._store.jobs(status, limit, cursor)

    async def events(
        self, job_ids: Sequence[str], after: Mapping[str, int] | None = None
    ) -> list[StoredEvent]:
        """Return the jobs' events behind the given sequences, in order."""
        return await self._store.events(job_ids, after or {})

    async def content(
        self, job_id: str, byte_range: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentNotReadyError` before there is one."""
        job = (await self._store.job(job_id)).job
        if job.status is not Status.COMPLETED or not job.provider_job_id:
            raise ContentNotReadyError(job.status.value)
        provider = provider_of(self._providers, job)
        return provider.content(job.provider_job_id, job.content_url or "", byte_range)

    # -- acting on a job ----------------------------------------------------------------------

    async def check_now(self, job_id: str) -> StoredJob:
        """Read the job at its provider at once. A job that is not there, or ended, stays as it is.

        Raises `ProviderError` when the provider could not be asked.
        """
        for _ in range(WRITE_TRIES):
            stored = await self._store.job(job_id)
            job = stored.job
            if not job.status.watched or job.provider_job_id is None:
                return stored
            reading = await provider_of(self._providers, job).get(job.provider_job_id)
            now = self._clock.now()
            await self._store.record_check(job_id, now)
            if await self._written(job, job.apply(reading.report, now)):
                break
        return await read_back(self._store.job(job_id), job_id=job_id)

    async def cancel(self, job_id: str, *, force: bool = False) -> StoredJob:
        """End the job. One that the provider has is canceled there first.

        Raises `JobEndedError`, `SubmissionPendingError`, `NotCancelableError` where the provider
        can't cancel, or `ProviderError` where it could not be asked; with `force` reelhook then
        stops watching all the same.
        """
        canceled_there, stopped = False, None
        for _ in range(WRITE_TRIES):
            stored = await self._until_submitted(job_id)
            job = stored.job
            if job.status is Status.CANCELED:
                return stored
            if job.status.terminal:
                raise JobEndedError(job.status.value)
            if job.status is Status.SUBMITTING and not force:
                raise SubmissionPendingError(forcible=True)
            if job.status is Status.ACCEPTED:
                stopped = True  # nothing was begun
            if job.status.watched and not canceled_there:
                # Asked once: a second DELETE, after a lost race, would find nothing to cancel.
                canceled_there = await self._cancel_at_provider(job, force=force)
                stopped = await self._stopped(job) if canceled_there else False
                if not canceled_there and not force:
                    raise NotCancelableError
            if await self._written(job, job.cancel(self._clock.now(), stopped=stopped)):
                break
        return await read_back(self._store.job(job_id), job_id=job_id)

    async def update_status(self, job_id: str, status: str, progress: int | None) -> StoredJob:
        """Write a status that the caller vouches for. Not offered over HTTP: it could be faked."""
        reports: dict[str, Report] = {
            "queued": Progress(running=False, percent=progress),
            "processing": Progress(running=True, percent=progress),
            "completed": Finished(url=""),
            "failed": Failed("provider_error", "The job was reported as failed."),
        }
        if status not in reports:
            problem, allowed = Problem.NOT_ONE_OF, tuple(reports)
            raise InvalidRequestError("status", problem, allowed=allowed, value=status)
        if progress is not None and not 0 <= progress <= 100:
            raise InvalidRequestError("progress", Problem.RANGE, least=0, most=100)
        for _ in range(WRITE_TRIES):
            job = (await self._store.job(job_id)).job
            if await self._written(job, job.apply(reports[status], self._clock.now())):
                break
        return await read_back(self._store.job(job_id), job_id=job_id)

    async def _cancel_at_provider(self, job: Job, *, force: bool) -> bool:
        assert job.provider_job_id is not None  # noqa: S101 - a watched job has one
        try:
            return await provider_of(self._providers, job).cancel(job.provider_job_id)
        except ProviderError as error:
            log.warning("cancel.failed", job=job.id, error=error.message)
            if not force:
                raise
            return False

    async def _stopped(self, job: Job) -> bool | None:
        try:
            return await provider_of(self._providers, job).cancel_stops()
        except ProviderError:
            return None

    async def _until_submitted(self, job_id: str) -> StoredJob:
        """Wait for the outcome of a submit that is under way, as long as that may take."""
        deadline = self._clock.now() + round(self._options.submit_wait_seconds * 1000)
        with self.follow([job_id]) as follower:
            while True:
                follower.take()
                stored = await self._store.job(job_id)
                left = deadline - self._clock.now()
                doubtful = stored.job.doubt_since is not None
                over = doubtful or left <= 0 or self._signals.stopping.is_set()
                if stored.job.status is not Status.SUBMITTING or over:
                    return stored
                await self._clock.wait(follower.changed, min(left / 1000, 1.0))

    async def _written(self, before: Job, transition: Transition) -> bool:
        if transition[0] is before:
            return True
        return bool(await self._recording.record([transition]))

    # -- following and stopping ----------------------------------------------------------------

    def follow(self, job_ids: Collection[str]) -> AbstractContextManager[Follower]:
        """Follow these jobs until the block ends: who does is woken by their changes alone."""
        return self._following.jobs(job_ids)

    async def sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the sequence of each job's last event. Raises `JobNotFoundError`."""
        found = await self._store.sequences(job_ids)
        if len(found) < len(set(job_ids)):
            raise JobNotFoundError
        return found

    @property
    def changed(self) -> asyncio.Event:
        """An event that is set when any job changes after this moment."""
        return self._signals.changed.next

    @property
    def stopping(self) -> asyncio.Event:
        """An event that is set when the program stops."""
        return self._signals.stopping

    def stop_waiting(self) -> None:
        """Tell whoever follows or waits that the program stops."""
        self._signals.stopping.set()
        self._signals.changed.notify()
        self._signals.changed.wake_all()
