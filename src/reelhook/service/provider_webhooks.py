"""The use case for webhooks from providers: the job is read at once.

A webhook only brings the next check forward. Nothing but the job's id is taken from it.
"""

from collections.abc import Mapping

import structlog

from reelhook.core.recording import Recording
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import (
    InvalidRequestError,
    JobConflictError,
    JobNotFoundError,
    ProviderError,
    UnknownCallbackError,
)
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Missing
from reelhook.ports import Acceptance, CallbackStore, Clock, Provider, StoredJob
from reelhook.service.in_doubt import InDoubtSubmissions
from reelhook.service.jobs import Jobs

log = structlog.get_logger()
UNKNOWN_JOB_MESSAGE = "The provider does not know the job that it called about"


class ProviderWebhooks:
    """Receives webhooks from providers."""

    def __init__(
        self,
        store: CallbackStore,
        providers: Mapping[str, Provider],
        catalog: Catalog,
        callbacks: CallbackAddresses,
        jobs: Jobs,
        in_doubt: InDoubtSubmissions,
        recording: Recording,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._providers = providers
        self._catalog = catalog
        self._callbacks = callbacks
        self._jobs = jobs
        self._in_doubt = in_doubt
        self._recording = recording
        self._clock = clock
        self._checking: set[str] = set()

    def check_address(self, caller: Caller, provider: str, token: str) -> None:
        """Raise `UnknownCallbackError` if the address is not one of ours."""
        caller.require(Scope.OPERATE)
        if self._callbacks.subject(provider, token) is None:
            raise UnknownCallbackError

    async def take(
        self, caller: Caller, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Take a webhook. Return True if it led to a check. Duplicates and late ones do no harm.

        Raises `UnknownCallbackError` for an address that is not ours, or `WebhookVerificationError`
        for a webhook that its provider did not sign. Raises `ProviderError` if the job can't be
        read now.
        """
        caller.require(Scope.OPERATE)
        subject = self._callbacks.subject(provider, token)
        if subject is None:
            raise UnknownCallbackError
        stored = await self._job_of(subject)
        account = subject.id if stored is None else stored.job.account
        adapter = self._providers.get(account)
        if adapter is None or self._catalog.accounts[account].provider != provider:
            raise UnknownCallbackError
        notice = await adapter.notice(headers, body)
        if stored is None:
            stored = await self._store.job_of_provider([account], notice.provider_job_id)
        if stored is None:
            return False  # a job that was created elsewhere with the same key
        provider_job_id = adapter.id_of(notice.provider_job_id, stored.job.model)
        if subject.kind is SubjectKind.JOB:
            return await self._take_for_job(caller, stored, provider_job_id)
        return await self._check(caller, stored.job, provider_job_id)

    async def _job_of(self, subject: Subject) -> StoredJob | None:
        if subject.kind is SubjectKind.ACCOUNT:
            if subject.id not in self._providers:
                raise UnknownCallbackError
            return None
        try:
            return await self._store.job(subject.id)
        except JobNotFoundError:
            raise UnknownCallbackError from None  # it was removed by retention

    async def _take_for_job(self, caller: Caller, stored: StoredJob, provider_job_id: str) -> bool:
        """Take a webhook at a job's own address, which proves that its create was accepted."""
        job = stored.job
        if job.status is Status.SUBMITTING:
            return await self._found(stored, provider_job_id)
        if job.in_doubt_now:
            return await self._adopted(caller, job, provider_job_id)
        return await self._check(caller, await self._adopter(job, provider_job_id), provider_job_id)

    async def _check(self, caller: Caller, job: Job, provider_job_id: str) -> bool:
        if job.provider_job_id != provider_job_id:
            log.warning("notice.of_another_job", job=job.id, provider_job=provider_job_id)
            return False
        if not job.status.watched or job.id in self._checking:  # webhooks come in bursts
            return False
        self._checking.add(job.id)
        try:
            await self._jobs.check_now(caller, job.id)
        finally:
            self._checking.discard(job.id)
        return True

    async def _found(self, stored: StoredJob, provider_job_id: str) -> bool:
        """Record the provider's job of a create whose response was lost."""
        job = stored.job
        if job.doubt_since is None:
            return False  # its paid call is in flight and will return the response itself
        reading = await self._providers[job.account].get(provider_job_id)
        if isinstance(reading.report, Missing):
            raise ProviderError(UNKNOWN_JOB_MESSAGE)
        now = self._clock.now()
        found = job.accept(provider_job_id, now, adopted=True)
        transition = found.apply(reading.report, now)
        acceptance = await self._recording.accept(self._store, transition)
        if acceptance is Acceptance.RECORDED:
            log.info("notice.found", job=job.id, provider_job=provider_job_id)
            self._recording.created(found, stored.webhook_url)
        return acceptance is Acceptance.RECORDED

    async def _adopted(self, caller: Caller, job: Job, provider_job_id: str) -> bool:
        """Adopt the provider's job of a create that was given up.

        fal sends its webhook when a video is done. By then the lookup of the create has ended.
        """
        try:
            created = await self._in_doubt.adopt(caller, job.id, provider_job_id)
        except InvalidRequestError as error:
            raise ProviderError(UNKNOWN_JOB_MESSAGE) from error
        except JobConflictError as error:
            log.warning("notice.not_adopted", job=job.id, error=error.message)
            return False
        log.info("notice.adopted", job=job.id, provider_job=provider_job_id, by=created.job_id)
        return True

    async def _adopter(self, job: Job, provider_job_id: str) -> Job:
        """Return the job that adopted this one, or else this one."""
        if job.provider_job_id is None and job.doubt_closed_at is not None:
            known = await self._store.job_of_provider([job.account], provider_job_id)
            if known is not None and known.job.adopted_from == job.id:
                return known.job
        return job
