"""The use case of a provider that calls us: the job is read back at once.

A call makes the next check immediate and never replaces it; all it is believed is the job's id.
"""

from collections.abc import Mapping

import structlog

from reelhook.core.recording import Recording
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
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
NOT_KNOWN_MESSAGE = "The provider does not know the job that it called about"


class ProviderWebhooks:
    """Takes the calls of providers."""

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
        self._doubts = in_doubt
        self._recording = recording
        self._clock = clock
        self._checking: set[str] = set()

    def check_address(self, provider: str, token: str) -> None:
        """Raise `UnknownCallbackError` for an address that is not ours."""
        if self._callbacks.subject(provider, token) is None:
            raise UnknownCallbackError

    async def take(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Take a call; return whether it led to a check. Duplicates and late ones do no harm.

        Raises `UnknownCallbackError` for an address that is not ours,
        `WebhookVerificationError` for a call that its provider did not sign, and `ProviderError`
        where the job can't be read back now.
        """
        subject = self._callbacks.subject(provider, token)
        if subject is None:
            raise UnknownCallbackError
        stored = await self._job_of(subject)
        account = subject.id if stored is None else stored.job.account
        asked = self._providers.get(account)
        if asked is None or self._catalog.accounts[account].provider != provider:
            raise UnknownCallbackError
        notice = await asked.notice(headers, body)
        if stored is None:
            stored = await self._store.job_of_provider([account], notice.provider_job_id)
        if stored is None:
            return False  # a job that was created elsewhere with the same key
        job = stored.job
        provider_job_id = asked.id_of(notice.provider_job_id, job.model)
        if subject.kind is SubjectKind.JOB:
            if job.status is Status.SUBMITTING:
                return await self._found(stored, provider_job_id)
            if job.in_doubt_now:
                return await self._adopted(job, provider_job_id)
            job = await self._goes_on_as(job, provider_job_id)
        if job.provider_job_id != provider_job_id:
            log.warning("notice.of_another_job", job=job.id, provider_job=provider_job_id)
            return False
        return await self._check(job.id) if job.status.watched else False

    async def _job_of(self, subject: Subject) -> StoredJob | None:
        if subject.kind is SubjectKind.ACCOUNT:
            if subject.id not in self._providers:
                raise UnknownCallbackError
            return None
        try:
            return await self._store.job(subject.id)
        except JobNotFoundError:
            raise UnknownCallbackError from None  # it has aged out

    async def _check(self, job_id: str) -> bool:
        if job_id in self._checking:  # calls come in bursts
            return False
        self._checking.add(job_id)
        try:
            await self._jobs.check_now(job_id)
        finally:
            self._checking.discard(job_id)
        return True

    async def _found(self, stored: StoredJob, provider_job_id: str) -> bool:
        """Take the job that a submit without an answer made: its own address was called for it."""
        job = stored.job
        if job.doubt_since is None:
            return False  # its paid call is under way, and will bring the answer itself
        reading = await self._providers[job.account].get(provider_job_id)
        if isinstance(reading.report, Missing):
            raise ProviderError(NOT_KNOWN_MESSAGE)
        now = self._clock.now()
        found = job.accept(provider_job_id, now, adopted=True)
        transition = found.apply(reading.report, now)
        acceptance = await self._recording.accept(self._store, transition)
        if acceptance is Acceptance.RECORDED:
            log.info("notice.found", job=job.id, provider_job=provider_job_id)
            self._recording.created(found, stored.webhook_url)
        return acceptance is Acceptance.RECORDED

    async def _adopted(self, job: Job, provider_job_id: str) -> bool:
        """Adopt what a job that was given up turned out to be: its own address was called for it.

        fal calls when a video is done, which takes longer than a doubt is looked up.
        """
        try:
            created = await self._doubts.adopt(job.id, provider_job_id)
        except InvalidRequestError as error:
            raise ProviderError(NOT_KNOWN_MESSAGE) from error
        except JobConflictError as error:
            log.warning("notice.not_adopted", job=job.id, error=error.message)
            return False
        log.info("notice.adopted", job=job.id, provider_job=provider_job_id, by=created.job_id)
        return True

    async def _goes_on_as(self, job: Job, provider_job_id: str) -> Job:
        """Return the job as which this one was adopted, if it was; else this one."""
        if job.provider_job_id is None and job.doubt_closed_at is not None:
            known = await self._store.job_of_provider([job.account], provider_job_id)
            if known is not None and known.job.adopted_from == job.id:
                return known.job
        return job
