"""Watch: asks the provider how its jobs fare, in constant rounds, and records what changed.

Each round runs as a task of its own and leaves out what an earlier one still waits for, so that
neither a slow provider nor a single job holds the next round up.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import structlog

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import Reading, Unknown
from reelhook.engine.held import Held
from reelhook.engine.reading import Reader
from reelhook.engine.runner import Tasks
from reelhook.ports import Clock, WatchStore
from reelhook.recording import Recording, Transition
from reelhook.signals import Signals

log = structlog.get_logger()
OVERDUE_UNREAD_MILLISECONDS = 10 * 60 * 1000
"""How long an overdue job that can't be read is still asked for, before it fails unread."""


COMMIT_MILLISECONDS = 2000
"""How much later than its `accepted_at` a job may become readable."""


class Watch:
    """Watches the jobs of one account."""

    name = "watch"

    def __init__(
        self,
        store: WatchStore,
        held: Held,
        recording: Recording,
        signals: Signals,
        *,
        poll_seconds: float,
        max_age_hours: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._held = held
        self._recording = recording
        self._signals = signals
        self._interval = round(max(poll_seconds, held.provider.traits.poll_seconds_min) * 1000)
        self._max_age_hours = max_age_hours
        self._clock = clock
        self._reader = Reader(held.provider, signals.account(held.id), clock)
        self._round_due: Instant = 0
        self._first_due_since: Instant = 0
        self._first_checked: set[str] = set()
        self._first_check_runs = False
        self._reading: set[str] = set()
        self._not_before: dict[str, Instant] = {}
        self._proven = False
        self.signal = signals.watch.fork()
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Start a round, or the first checks of new jobs; see `Loop`."""
        if self._signals.watching_paused:
            return None
        now = self._clock.now()
        if not now < self._round_due <= now + self._interval:  # due, or the clock was set back
            await self._start_round(now)
        elif not self._first_check_runs:
            await self._start_first_checks()
        return max(0.0, (self._round_due - self._clock.now()) / 1000)

    async def _start_round(self, now: Instant) -> None:
        due = min(self._round_due or now, now)
        self._round_due = due + ((now - due) // self._interval + 1) * self._interval
        jobs = await self._store.jobs_to_watch(self._held.id)
        self._first_checked = {job.id for job in jobs}
        self._first_due_since = now - COMMIT_MILLISECONDS
        self._reader.trim({job.provider_job_id for job in jobs if job.provider_job_id is not None})
        ready = [job for job in jobs if self._not_before.get(job.id, 0) <= now]
        self._not_before = {k: v for k, v in self._not_before.items() if v > now}
        ready = [job for job in ready if job.id not in self._reading]
        if ready:
            log.debug(f"Polling {len(ready)} Sora job(s)...", emoji="🔄", account=self._held.id)
            self.tasks.spawn(self._round(ready), account=self._held.id)

    async def _start_first_checks(self) -> None:
        recent = await self._store.jobs_to_watch(self._held.id, self._first_due_since)
        new = [job for job in recent if job.id not in self._first_checked]
        if new:
            self._first_checked.update(job.id for job in new)
            self._first_check_runs = True
            self.tasks.spawn(self._read(new), self._first_check_done, account=self._held.id)

    def _first_check_done(self) -> None:
        self._first_check_runs = False

    async def _round(self, jobs: Sequence[Job]) -> None:
        await self._read(jobs)
        await self._store.record_round(self._held.id, self._clock.now(), self._held.lease)

    async def _read(self, jobs: Sequence[Job]) -> None:
        by_id = {job.provider_job_id: job for job in jobs if job.provider_job_id is not None}
        unread = set(by_id)
        held = {job.id for job in jobs}

        async def deliver(readings: Mapping[str, Reading | None], *, listed: bool) -> None:
            told = {one: reading for one, reading in readings.items() if reading is not None}
            await self._record([(by_id[one], reading) for one, reading in told.items()])
            if listed:
                await self._prove_listing([by_id[one] for one in told])
            unread.difference_update(told)
            free({by_id[one].id for one in readings})

        def free(ids: AbstractSet[str]) -> None:
            # From here on the job may be in the next round, whatever else this one waits for.
            done = held & ids
            held.difference_update(done)
            self._reading -= done

        self._reading |= held
        try:
            await self._reader.read(list(by_id), deliver)
            await self._expire_unread([by_id[one] for one in unread])
        finally:
            free(held)

    async def _record(self, readings: Sequence[tuple[Job, Reading]]) -> None:
        now = self._clock.now()
        transitions: list[Transition] = []
        for job, reading in readings:
            transition = self._applied(job, reading, now)
            if transition[0] is not job:
                self._log_change(job, transition[0])
                transitions.append(transition)
        await self._recording.record(transitions, self._held.lease)

    async def _prove_listing(self, listed: Sequence[Job]) -> None:
        """Keep, once, that the listing shows ids that we created."""
        if not self._proven and any(job.submit_attempts and not job.adopted for job in listed):
            await self._store.prove_listing(self._held.id, self._held.lease)
            self._proven = True

    def _applied(self, job: Job, reading: Reading, now: Instant) -> Transition:
        if isinstance(reading.report, Unknown):
            log.warning("watch.unknown_status", job=job.id, status=reading.report.status)
        if reading.poll_after_seconds * 1000 > self._interval:
            self._not_before[job.id] = now + round(reading.poll_after_seconds * 1000)
        after, events = job.apply(reading.report, now)
        if now >= self._deadline(job) and not after.status.terminal:
            after, last = self._expired(after, now)
            events = (*events, *last)
        return after, events

    def _deadline(self, job: Job) -> Instant:
        return job.created_at + round(self._max_age_hours * 3600 * 1000)

    def _expired(self, job: Job, now: Instant) -> Transition:
        message = f"The job was not finished within {self._max_age_hours:g} hours of its request"
        return job.fail("expired", message, now)

    async def _expire_unread(self, jobs: Sequence[Job]) -> None:
        now = self._clock.now()
        overdue = [j for j in jobs if now >= self._deadline(j) + OVERDUE_UNREAD_MILLISECONDS]
        await self._recording.record([self._expired(job, now) for job in overdue], self._held.lease)

    def _log_change(self, before: Job, after: Job) -> None:
        log.debug(
            f"   Status: {before.status.value} → {after.status.value}"
            f" (Progress: {before.progress}% → {after.progress}%)",
            job=before.id,
            provider_job=before.provider_job_id,
        )
