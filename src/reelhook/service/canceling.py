"""Canceling a job: at its provider first, if one has it, then here."""

from collections.abc import Mapping

import structlog

from reelhook.core.recording import Recording
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller
from reelhook.domain.conflicts import (
    JobEndedError,
    NotCancelableError,
    SubmissionPendingError,
)
from reelhook.domain.errors import JobConflictError, ProviderError
from reelhook.domain.job import Job, Status
from reelhook.ports import Clock, JobStore, Provider, StoredJob
from reelhook.service.followers import Followers
from reelhook.service.providers import account_errors_hidden, provider_of
from reelhook.service.reading_back import read_back, record_change

log = structlog.get_logger()


class Canceling:
    """Cancels jobs; see `Jobs.cancel`."""

    def __init__(
        self,
        store: JobStore,
        providers: Mapping[str, Provider],
        recording: Recording,
        followers: Followers,
        *,
        submit_wait_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._providers = providers
        self._recording = recording
        self._followers = followers
        self._submit_wait_seconds = submit_wait_seconds
        self._clock = clock

    async def cancel(self, caller: Caller, job_id: str, *, force: bool, tries: int) -> StoredJob:
        """Cancel a job. Raises as `Jobs.cancel`."""
        canceled_there, stopped = False, None
        for _ in range(tries):
            stored = await self._until_submitted(caller, job_id)
            job = stored.job
            if job.status is Status.CANCELED:
                return stored
            _check_cancelable(job, force=force)
            if not canceled_there:
                # True: no create was sent. What an earlier round found may be over by now.
                stopped = True if job.status is Status.ACCEPTED else None
            if job.status.watched and not canceled_there:
                # Only once: after a lost race, a second DELETE would find nothing to cancel.
                canceled_there = await self._cancel_at_provider(caller, job, force=force)
                stopped = await self._stopped(job) if canceled_there else False
            now = self._clock.now()
            entry = AuditEntry.by(caller, now, Action.JOB_CANCELED, job_id, job.project)
            if await record_change(self._recording, job, job.cancel(now, stopped=stopped), entry):
                return await read_back(self._store.job(job_id, caller.sees), job_id=job_id)
        raise JobConflictError(
            "The job kept changing during the cancel, so it is not recorded as canceled; "
            "read it, and cancel it again unless it has ended"
        )

    async def _until_submitted(self, caller: Caller, job_id: str) -> StoredJob:
        """Return the job once no create of it is in flight, or after `submit_wait_seconds`."""
        deadline = self._clock.now() + round(self._submit_wait_seconds * 1000)
        with self._followers.jobs([job_id]) as follower:
            while True:
                follower.take()
                stored = await self._store.job(job_id, caller.sees)
                left = deadline - self._clock.now()
                in_doubt = stored.job.doubt_since is not None
                over = in_doubt or left <= 0 or self._followers.stopping.is_set()
                if stored.job.status is not Status.SUBMITTING or over:
                    return stored
                await self._clock.wait(follower.changed, min(left / 1000, 1.0))

    async def _cancel_at_provider(self, caller: Caller, job: Job, *, force: bool) -> bool:
        assert job.provider_job_id is not None  # noqa: S101 - a watched job has one
        try:
            with account_errors_hidden(caller):
                canceled = await provider_of(self._providers, job).cancel(job.provider_job_id)
        except ProviderError as error:
            log.warning("cancel.failed", job=job.id, error=error.message)
            if not force:
                raise
            return False
        if not canceled and not force:
            raise NotCancelableError
        return canceled

    async def _stopped(self, job: Job) -> bool | None:
        try:
            return await provider_of(self._providers, job).cancel_stops()
        except ProviderError:
            return None


def _check_cancelable(job: Job, *, force: bool) -> None:
    if job.status.terminal:
        raise JobEndedError(job.status.value)
    if job.status is Status.SUBMITTING and not force:
        raise SubmissionPendingError(forcible=True)
