"""Deleting a job: it is canceled first, unless it has ended."""

from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller
from reelhook.domain.conflicts import (
    JobEndedError,
    NotCancelableError,
    NotDeletableError,
    StillInDoubtError,
    SubmissionPendingError,
)
from reelhook.domain.errors import JobConflictError
from reelhook.ports import Clock, JobStore
from reelhook.service.canceling import Canceling
from reelhook.service.reading_back import read_back


class Deleting:
    """Deletes jobs; see `Jobs.delete`."""

    def __init__(
        self, store: JobStore, canceling: Canceling, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._canceling = canceling
        self._signals = signals
        self._clock = clock

    async def delete(self, caller: Caller, job_id: str, *, tries: int) -> None:
        """Delete a job. Raises as `Jobs.delete`."""
        canceled = False
        for _ in range(tries):
            job = (await self._store.job(job_id, caller.sees)).job
            if not job.status.terminal:
                await self._cancel(caller, job_id, tries)
                canceled = True
            elif job.in_doubt_now:
                raise StillInDoubtError(job_id)
            if await self._delete(caller, job_id, job.project, canceled=canceled):
                return
        raise JobConflictError("The job kept changing, so it was not deleted; delete it again")

    async def _cancel(self, caller: Caller, job_id: str, tries: int) -> None:
        try:
            await self._canceling.cancel(caller, job_id, force=False, tries=tries)
        except JobEndedError:
            pass  # by itself, in the meantime
        except NotCancelableError as error:
            raise NotDeletableError from error
        except SubmissionPendingError as error:
            raise SubmissionPendingError from error  # no force helps a deletion

    async def _delete(self, caller: Caller, job_id: str, project: str, *, canceled: bool) -> bool:
        now = self._clock.now()
        entry = AuditEntry.by(caller, now, Action.JOB_DELETED, job_id, project)
        deleting = self._store.delete_job(job_id, now, entry, project=caller.sees)
        try:
            return await (read_back(deleting, job_id=job_id) if canceled else deleting)
        finally:
            self._signals.jobs_changed([job_id])
            self._signals.removals.publish()
