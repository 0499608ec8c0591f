"""The use cases for jobs that exist: read them, act on them."""

from collections.abc import Mapping

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Actor, Caller, Scope
from reelhook.domain.errors import (
    JobConflictError,
    JobNotFoundError,
)
from reelhook.domain.job import Job, Status
from reelhook.domain.report import vouched_report
from reelhook.ports import (
    ALL_JOBS,
    Clock,
    JobFilter,
    JobPage,
    JobStore,
    Provider,
    StoredJob,
)
from reelhook.service.canceling import Canceling
from reelhook.service.deleting import Deleting
from reelhook.service.followers import Followers
from reelhook.service.job_filters import seen_by
from reelhook.service.providers import account_errors_hidden, provider_of
from reelhook.service.reading_back import read_back, record_change

WRITE_TRIES = 5
"""The number of tries to change a job while others change it too."""


class Jobs:
    """Jobs, over one store and the providers' accounts.

    `submit_wait_seconds` limits a cancel's wait for the outcome of a create that is in flight.
    """

    def __init__(
        self,
        store: JobStore,
        providers: Mapping[str, Provider],
        recording: Recording,
        signals: Signals,
        followers: Followers,
        *,
        submit_wait_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._providers = providers
        self._recording = recording
        self._signals = signals
        self._clock = clock
        self._canceling = Canceling(
            store,
            providers,
            recording,
            followers,
            submit_wait_seconds=submit_wait_seconds,
            clock=clock,
        )
        self._deleting = Deleting(store, self._canceling, signals, clock=clock)

    # -- reading ------------------------------------------------------------------------------

    async def job(self, caller: Caller, job_id: str) -> StoredJob:
        """Return one job. Raises `JobNotFoundError`."""
        caller.require(Scope.READ)
        return await self._store.job(job_id, caller.sees)

    async def jobs(
        self,
        caller: Caller,
        wanted: JobFilter = ALL_JOBS,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """Return a page of the jobs that the caller may see, newest first by default.

        Raises `InvalidRequestError` for a filter that no job can match, or a bad cursor.
        """
        caller.require(Scope.READ)
        wanted = seen_by(caller, wanted)
        return await self._store.jobs(wanted, limit, cursor)

    async def queue_position(self, caller: Caller, job: Job) -> int | None:
        """Return the number of jobs before this one, or None if that is unknown or irrelevant.

        Before its create, these are the jobs of its account that will be created first. Once the
        provider has queued it, the number is the provider's.
        """
        caller.require(Scope.READ)
        if not caller.may_see(job.project):
            raise JobNotFoundError(job.id)
        if job.status is Status.ACCEPTED:
            return await self._store.jobs_ahead(job)
        provider = self._providers.get(job.account)
        if provider is None or job.status is not Status.QUEUED or job.provider_job_id is None:
            return None
        return provider.ahead(job.provider_job_id)

    # -- acting on a job ----------------------------------------------------------------------

    async def check_now(self, caller: Caller, job_id: str) -> StoredJob:
        """Read the job at its provider now.

        A job that no provider has, or that has ended, is returned unchanged. Raises `ProviderError`
        if the provider could not be asked.
        """
        caller.require(Scope.OPERATE)
        for _ in range(WRITE_TRIES):
            stored = await self._store.job(job_id, caller.sees)
            job = stored.job
            if not job.status.watched or job.provider_job_id is None:
                return stored
            with account_errors_hidden(caller):
                reading = await provider_of(self._providers, job).get(job.provider_job_id)
            now = self._clock.now()
            await self._store.record_check(job_id, now, project=caller.sees)
            by_person = caller.actor is not Actor.PROVIDER  # its webhooks only report
            entry = AuditEntry.by(caller, now, Action.JOB_CHECKED, job.id, job.project)
            if await record_change(
                self._recording, job, job.apply(reading.report, now), entry if by_person else None
            ):
                break
        return await read_back(self._store.job(job_id, caller.sees), job_id=job_id)

    async def cancel(self, caller: Caller, job_id: str, *, force: bool = False) -> StoredJob:
        """Cancel the job. If a provider has it, it is canceled there first.

        Raises `JobEndedError`, `SubmissionPendingError`, `NotCancelableError` if the provider
        can't cancel, or `ProviderError` if it could not be asked; with `force`, reelhook stops
        watching the job anyway. Raises `JobConflictError` if others kept changing the job.
        """
        caller.require(Scope.SUBMIT)
        return await self._canceling.cancel(caller, job_id, force=force, tries=WRITE_TRIES)

    async def delete(self, caller: Caller, job_id: str) -> None:
        """Remove a job's request, files, links and webhooks. An unfinished job is canceled first.

        Afterwards the job does not exist for any read. Its id stays taken, and its costs count.
        Raises as `cancel`, `JobNotFoundError`, or `StillInDoubtError`. Raises `NotCancelableError`
        if the provider can't cancel.
        """
        caller.require(Scope.SUBMIT)
        await self._deleting.delete(caller, job_id, tries=WRITE_TRIES)

    async def update_status(
        self, caller: Caller, job_id: str, status: str, progress: int | None
    ) -> StoredJob:
        """Write a status that the caller vouches for. Not offered over HTTP: it could be faked.

        Raises `JobConflictError` if others kept changing the job.
        """
        caller.require(Scope.OPERATOR)
        report = vouched_report(status, progress)
        for _ in range(WRITE_TRIES):
            job = (await self._store.job(job_id, caller.sees)).job
            if await record_change(self._recording, job, job.apply(report, self._clock.now())):
                return await read_back(self._store.job(job_id, caller.sees), jobId=job_id)
        raise JobConflictError("The job kept changing, so this status was not written; try again")
