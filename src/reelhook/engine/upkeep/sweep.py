"""Sweep: time-based clean-up, once a minute."""

from reelhook.core.pause import WatchingPause
from reelhook.core.recording import Recording, Transition
from reelhook.core.wakeups import Signals
from reelhook.domain.age_limits import Age
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.waiting import with_last_response
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, Lease, SweepStore

SWEEP_SECONDS = 60.0
DOUBT_MILLISECONDS = 10 * 60 * 1000
"""The least time for which a job of any age in doubt is looked up, also after a restart."""
UNWATCHED_MILLISECONDS = 20 * 60 * 1000
"""The time that the worker of an overdue job has to end it, which is more than it needs."""
IDEMPOTENCY_KEY_MILLISECONDS = 24 * 3600 * 1000


class Sweep:
    """Ends jobs that no provider accepted or nobody watches, and deletes old idempotency keys.

    `call_seconds` is the longest time that a paid call may take.
    """

    name = "sweep"

    def __init__(
        self,
        store: SweepStore,
        lease: Lease,
        recording: Recording,
        signals: Signals,
        pause: WatchingPause,
        *,
        max_age_hours: float,
        call_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._lease = lease
        self._recording = recording
        self._pause = pause
        self._age = Age(max_age_hours)
        self._call_milliseconds = round(call_seconds * 1000)
        self._clock = clock
        self._started_at: Instant | None = None
        self._watching_since: Instant | None = None
        self.signal = signals.sweep
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Sweep; see `Loop`."""
        now = self._clock.now()
        self._started_at = self._started_at or now
        await self._store.forget_idempotency_keys(now - IDEMPOTENCY_KEY_MILLISECONDS)
        unsubmitted = await self._store.jobs_unsubmitted_before(now - self._age.milliseconds)
        overdue = [job for job in unsubmitted if self._is_over(job, now, self._started_at)]
        await self._recording.record([self._ended(job, now) for job in overdue], self._lease)
        await self._end_unwatched(now)
        return SWEEP_SECONDS

    async def _end_unwatched(self, now: Instant) -> None:
        """End jobs that should have ended long ago, such as those of an account that was removed.

        They get twice the maximum age, like the jobs of a provider that can't be reached.
        """
        if self._pause.active:
            self._watching_since = None
            return
        if self._watching_since is None:
            self._watching_since = now
        if now - self._watching_since < UNWATCHED_MILLISECONDS:
            return
        before = now - 2 * self._age.milliseconds - UNWATCHED_MILLISECONDS
        for job in await self._store.jobs_unfinished_before(before):
            await self._recording.record([self._age.unfinished(job, now)], self._lease)

    def _is_over(self, job: Job, now: Instant, started_at: Instant) -> bool:
        """Return True if neither a create nor a look-up of the job can still be running."""
        if job.status is not Status.SUBMITTING:
            return True
        called_until = (job.submit_started_at or job.created_at) + self._call_milliseconds
        since = max(job.doubt_since or called_until, started_at)
        return now - since >= DOUBT_MILLISECONDS

    def _ended(self, job: Job, now: Instant) -> Transition:
        if job.status is Status.SUBMITTING:
            hours = f"{self._age.hours:g} hours"
            message = (
                f"It could not be determined within {hours} whether the provider accepted the job"
            )
            return job.fail(
                "submission_unknown", with_last_response(message, job.last_response), now
            )
        return self._age.unaccepted(job, now)
