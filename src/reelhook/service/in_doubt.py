"""The use cases for jobs in doubt: a person checks the provider, then adopts or abandons."""

from collections.abc import Mapping
from random import Random

import structlog

from reelhook.core.facts import Emit, JobCreated
from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.conflicts import (
    AlreadyWatchedError,
    DoubtSettledError,
    NotInDoubtError,
    SubmissionPendingError,
)
from reelhook.domain.errors import CommitUnknownError, JobConflictError
from reelhook.domain.ids import new_id
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.domain.request import check_ids
from reelhook.ports import Clock, Created, InDoubtStore, JobPage, NewJob, Provider, StoredJob
from reelhook.service.claims import check_claim, sharing
from reelhook.service.providers import provider_of
from reelhook.service.reading_back import read_back

log = structlog.get_logger()


class InDoubtSubmissions:
    """The submissions that a provider may or may not have accepted."""

    def __init__(
        self,
        store: InDoubtStore,
        providers: Mapping[str, Provider],
        signals: Signals,
        *,
        emit: Emit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._providers = providers
        self._signals = signals
        self._emit = emit
        self._clock = clock
        self._random = random

    async def jobs(self, caller: Caller, limit: int = 50, cursor: str | None = None) -> JobPage:
        """Return a page of the jobs in doubt, oldest first.

        Jobs that ended in doubt come first, then those that are still being looked up. Raises
        `InvalidRequestError` for a bad cursor.
        """
        caller.require(Scope.READ)
        return await self._store.jobs_in_doubt(limit, cursor, caller.sees)

    async def adopt(self, caller: Caller, job_id: str, provider_job_id: str) -> Created:
        """Watch the provider's job as a new job, with the same request and endpoints.

        It belongs to the project and the key of the job in doubt. A second call returns the same
        job. Raises `UnknownProviderJobError`, or `JobIdTakenError` if another job of the project
        has the provider's job. Raises `JobConflictError` if the job is not in doubt, or
        `ProviderError` if the provider can't be read.
        """
        caller.require(Scope.OPERATE)
        check_ids(provider_job_id, None)
        provider_job_id = await self._canonical_id(caller, job_id, provider_job_id)
        if (before := await self._adopted(caller, job_id, provider_job_id)) is not None:
            return before
        try:
            return await self._adopt(caller, await self._in_doubt(caller, job_id), provider_job_id)
        except JobConflictError:
            # An identical call may have adopted it at the same time.
            if (before := await self._adopted(caller, job_id, provider_job_id)) is not None:
                return before
            raise

    async def _adopt(self, caller: Caller, stored: StoredJob, provider_job_id: str) -> Created:
        job = stored.job
        await check_claim(self._store, self._providers, caller, job.account, provider_job_id)
        adopted = self._new_job(job, provider_job_id)
        destinations = await self._store.destinations(job.id, caller.sees)
        entry = self._entry(caller, Action.JOB_ADOPTED, job)
        adoption = {"adopted_as": adopted.id, "provider_job_id": provider_job_id}
        new = NewJob(
            adopted,
            stored.request,
            stored.webhook_url,
            tuple(destinations),
            audit=entry.changing(None, adoption),
            sees=caller.sees,
            sharing=sharing(self._providers, job.account),
        )
        try:
            created = await self._store.create(new)
        except CommitUnknownError as error:
            self._signals.watch.publish()
            raise error.naming(job_id=adopted.id) from error
        if created.replayed:
            raise AlreadyWatchedError(provider_job_id, created.job_id)
        self._emit(JobCreated(adopted, stored.webhook_url))
        self._signals.watch.publish()
        return created

    def _new_job(self, job: Job, provider_job_id: str) -> Job:
        # It counts as registered, not as found by a lookup: no other job's lookup or late response
        # may take away a person's assignment. A lookup for it would begin too late anyway.
        now = self._clock.now()
        return Job(
            id=new_id("job", now, self._random),
            account=job.account,
            status=Status.ACCEPTED,
            created_at=now,
            updated_at=now,
            provider=job.provider,
            model=job.model,
            model_since=job.model_since,
            fallback=job.fallback,
            pinned=job.pinned,
            adopted_from=job.id,
            project=job.project,
            key_id=job.key_id,
            priority=job.priority,
            external_id=job.external_id,
            metadata=job.metadata,
            estimated_amount=job.estimated_amount,
            estimated_unit=job.estimated_unit,
        ).accept(provider_job_id, now)

    async def abandon(self, caller: Caller, job_id: str) -> StoredJob:
        """Settle the doubt: the provider does not have the job.

        Raises `JobConflictError` if the job is not in doubt.
        """
        caller.require(Scope.OPERATE)
        stored = await self._in_doubt(caller, job_id)
        entry, now = self._entry(caller, Action.JOB_ABANDONED, stored.job), self._clock.now()
        if not await self._store.close_doubt(stored.job.id, now, entry, project=caller.sees):
            raise DoubtSettledError(job_id)
        log.info("doubt.abandoned", job=job_id)
        return await read_back(self._store.job(job_id, caller.sees), job_id=job_id)

    def _entry(self, caller: Caller, action: Action, job: Job) -> AuditEntry:
        return AuditEntry.by(caller, self._clock.now(), action, job.id, job.project)

    async def _canonical_id(self, caller: Caller, job_id: str, provider_job_id: str) -> str:
        job = (await self._store.job(job_id, caller.sees)).job
        return provider_of(self._providers, job).id_of(provider_job_id, job.model)

    async def _adopted(self, caller: Caller, job_id: str, provider_job_id: str) -> Created | None:
        """Return the job that has adopted this one, if any, and settle this one's doubt."""
        job = (await self._store.job(job_id, caller.sees)).job
        known = await self._store.job_of_provider([job.account], provider_job_id)
        if known is None or known.job.adopted_from != job_id:
            return None
        await self._store.close_doubt(job_id, self._clock.now(), project=caller.sees)
        return Created(known.job.id, replayed=True)

    async def _in_doubt(self, caller: Caller, job_id: str) -> StoredJob:
        stored = await self._store.job(job_id, caller.sees)
        job = stored.job
        if job.status is Status.SUBMITTING:
            raise SubmissionPendingError
        if job.code != SUBMISSION_UNKNOWN:
            raise NotInDoubtError(job_id)
        if job.doubt_closed_at is not None:
            raise DoubtSettledError(job_id)
        return stored
