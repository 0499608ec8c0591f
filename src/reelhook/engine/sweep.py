"""Sweep: what time alone brings about, once a minute."""

from reelhook.domain.age import Age
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.engine.runner import Tasks
from reelhook.ports import Clock, Lease, SweepStore
from reelhook.recording import Recording, Transition
from reelhook.signals import Signals

SWEEP_SECONDS = 60.0
DOUBT_MILLISECONDS = 10 * 60 * 1000
"""How long a job in doubt is looked up at least, and so after a restart, however old it is."""
IDEMPOTENCY_KEY_MILLISECONDS = 24 * 3600 * 1000


class Sweep:
    """Ends jobs that no provider ever took, and forgets old idempotency keys."""

    name = "sweep"

    def __init__(
        self,
        store: SweepStore,
        lease: Lease,
        recording: Recording,
        signals: Signals,
        *,
        max_age_hours: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._lease = lease
        self._recording = recording
        self._age = Age(max_age_hours)
        self._clock = clock
        self._started_at: Instant | None = None
        self.signal = signals.sweep
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Sweep; see `Loop`."""
        now = self._clock.now()
        self._started_at = self._started_at or now
        await self._store.forget_idempotency_keys(now - IDEMPOTENCY_KEY_MILLISECONDS)
        unsubmitted = await self._store.jobs_unsubmitted_before(now - self._age.milliseconds)
        overdue = [job for job in unsubmitted if self._is_over(job, now, self._started_at)]
        await self._recording.record([self._ended(job, now) for job in overdue], self._lease)
        return SWEEP_SECONDS

    def _is_over(self, job: Job, now: Instant, started_at: Instant) -> bool:
        """Whether nothing is on its way any more: no create, and no look at the listing."""
        if job.status is not Status.SUBMITTING:
            return True
        since = max(job.doubt_since or now, started_at)
        return now - since >= DOUBT_MILLISECONDS

    def _ended(self, job: Job, now: Instant) -> Transition:
        if job.status is Status.SUBMITTING:
            hours = f"{self._age.hours:g} hours"
            message = f"Whether the provider accepted the job could not be found out in {hours}"
            return job.fail("submission_unknown", message, now)
        return self._age.unaccepted(job, now)
