"""Sweep: what time alone brings about, once a minute."""

from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.engine.runner import Tasks
from reelhook.ports import Clock, Lease, SweepStore
from reelhook.recording import Recording, Transition
from reelhook.signals import Signals

SWEEP_SECONDS = 60.0
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
        self._max_age_hours = max_age_hours
        self._clock = clock
        self.signal = signals.sweep
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Sweep; see `Loop`."""
        now = self._clock.now()
        await self._store.forget_idempotency_keys(now - IDEMPOTENCY_KEY_MILLISECONDS)
        old = now - round(self._max_age_hours * 3600 * 1000)
        overdue = await self._store.jobs_unsubmitted_before(old)
        await self._recording.record([self._ended(job, now) for job in overdue], self._lease)
        return SWEEP_SECONDS

    def _ended(self, job: Job, now: Instant) -> Transition:
        hours = f"{self._max_age_hours:g} hours"
        if job.status is Status.SUBMITTING:
            message = f"Whether the provider accepted the job could not be found out in {hours}"
            return job.fail("submission_unknown", message, now)
        return job.fail("expired", f"No provider accepted the job within {hours}", now)
