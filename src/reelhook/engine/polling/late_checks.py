"""Late checks: looks at jobs that ended without a word of their provider, once a day.

A provider may finish a job that was given up here. Its video is paid for, so it is not lost.
"""

import asyncio

import structlog

from reelhook.core.pause import WatchingPause
from reelhook.core.recording import Recording
from reelhook.domain.after_end import recovered
from reelhook.domain.errors import ProviderError
from reelhook.domain.late_check import LateCheck
from reelhook.domain.report import Failed, Finished
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, LateCheckStore

log = structlog.get_logger()
LOOK_SECONDS = 600.0
AT_ONCE = 10
"""The number of jobs that are read in a row, each by a request of its own."""


class LateChecks:
    """Looks at the ended jobs of one account that may still succeed."""

    name = "late_checks"

    def __init__(
        self,
        store: LateCheckStore,
        leased: LeasedAccount,
        recording: Recording,
        pause: WatchingPause,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._pause = pause
        self._clock = clock
        self.signal = asyncio.Event()
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Check what is due; see `Loop`."""
        if self._pause.active:
            return LOOK_SECONDS
        if len(self.tasks):
            return None  # its end sets the signal
        due = await self._store.late_checks(self._leased.id, self._clock.now(), AT_ONCE)
        if not due:
            return LOOK_SECONDS
        self.tasks.spawn(self._check_all(due))
        return None

    async def _check_all(self, checks: list[LateCheck]) -> None:
        for check in checks:
            if self.tasks.draining:
                return
            await self._check(check)

    async def _check(self, check: LateCheck) -> None:
        job, lease = check.job, self._leased.lease
        try:
            reading = await self._leased.provider.get(job.provider_job_id or "")
        except ProviderError as error:
            log.debug("late_check.unread", job=job.id, error=error.message)
            retry_at = check.retry_at(self._clock.now())
            await self._store.record_late_check(check, retry_at, lease, learnt=False)
            return
        now = self._clock.now()
        match reading.report:
            case Finished():
                found = recovered(job, reading.report, now)
                if found[0] is not job and await self._recording.record_after_end(
                    found, lease=lease
                ):
                    log.info("job.recovered", job=job.id)
                    return
                # Either it was recovered before, or it has just changed and is read again.
                retry_at = None if found[0] is job else check.retry_at(now)
                await self._store.record_late_check(check, retry_at, lease, learnt=False)
            case Failed():
                await self._store.record_late_check(check, None, lease)
            case _:
                await self._store.record_late_check(check, check.next_at(now), lease)
