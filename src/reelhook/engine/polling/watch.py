"""Watch: asks the provider how its jobs fare, in constant rounds, and records what changed.

Each round runs as a task of its own and leaves out what an earlier one still waits for, so that
neither a slow provider nor a single job holds the next round up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

import structlog

from reelhook.core.recording import Recording, Transition
from reelhook.core.wakeups import Signals
from reelhook.domain.age_limits import Age
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import Missing, Report, Unread
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.polling.forgotten import Forgotten
from reelhook.engine.polling.pending_jobs import PendingJobsCache
from reelhook.engine.polling.read_limiter import ReadLimiter
from reelhook.engine.polling.reader import Reader
from reelhook.engine.polling.round_timer import RoundTimer
from reelhook.engine.polling.slowdown import Slowdown
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.wording import ErrorTexts
from reelhook.ports import Clock, ForgottenStore

log = structlog.get_logger()
OVERDUE_UNREAD_MILLISECONDS = 10 * 60 * 1000
"""How long an overdue job that can't be read is still asked for, before it fails unread."""
BREAK_MILLISECONDS_MIN = 60_000
"""When the provider was not asked, or did not answer, for so long, those ten minutes restart."""

SLACK_MILLISECONDS = 5000
"""How late a round may notice that a job is gone, beside the interval."""

COMMIT_MILLISECONDS = 2000
"""How much later than its `accepted_at` a job may become readable."""


class Watch:
    """Watches the jobs of one account."""

    name = "watch"

    def __init__(
        self,
        store: ForgottenStore,
        held: LeasedAccount,
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
        self._wait_after_look = round(held.provider.traits.poll_seconds_min * 1000)
        self._age = Age(max_age_hours)
        self._clock = clock
        self.signal = signals.watch.fork()
        self.tasks = RunningTasks(self.signal)
        health = signals.account(held.id)
        self._asking = ReadLimiter(
            held.id,
            health,
            clock,
            self.signal.set,
            break_milliseconds=max(BREAK_MILLISECONDS_MIN, 2 * self._interval),
        )
        self._reader = Reader(held.provider, self._asking, clock)
        self._slowing = Slowdown(self._interval)
        self._pace = RoundTimer(self._interval, held.id, health)
        self._watched = PendingJobsCache(store, held.id)
        self._forgotten = Forgotten(
            store,
            held,
            recording,
            signals,
            margin=2 * self._interval + SLACK_MILLISECONDS,
            clock=clock,
        )
        self._first_due_since: Instant = 0
        self._first_checked: set[str] = set()
        self._first_check_runs = False
        self._reading: list[set[str]] = []
        """For each round under way the jobs that it still has to read."""
        self._not_before: dict[str, Instant] = {}
        self._wording = ErrorTexts()

    async def tick(self) -> float | None:
        """Start a round, or the first checks of new jobs; see `Loop`."""
        if self._signals.watching_paused:
            return None
        now = self._clock.now()
        if self._pace.is_due(now):
            if self._reader.busy:
                self._pace.wait()
                return None
            await self._start_round(now)
        elif not self._first_check_runs:
            await self._start_first_checks()
        return self._pace.seconds_left(self._clock.now())

    async def _start_round(self, now: Instant) -> None:
        jobs = await self._watched.refresh()
        self._pace.begin(now, len(jobs))
        self._first_checked = set()
        self._first_due_since = now - COMMIT_MILLISECONDS
        self._reader.trim(jobs)
        self._wording.trim(jobs.values())
        self._slowing.trim(jobs)
        self._not_before = {k: v for k, v in self._not_before.items() if v > now}
        ready = jobs
        if self._reading or self._not_before:
            ready = dict(jobs)
            for one in chain(self._not_before, *self._reading):
                ready.pop(one, None)
        if ready:
            log.debug(f"Polling {len(ready)} Sora job(s)...", emoji="🔄", account=self._held.id)
            self.tasks.spawn(self._round(ready), account=self._held.id)

    async def _start_first_checks(self) -> None:
        recent = await self._store.jobs_to_watch(self._held.id, self._first_due_since)
        new = {
            job.provider_job_id: job
            for job in recent
            if job.provider_job_id is not None
            and job.provider_job_id not in self._watched.by_provider_id
            and job.id not in self._first_checked
        }
        if new:
            self._first_checked.update(job.id for job in new.values())
            self._first_check_runs = True
            # The next round may be near, and some providers want time between two looks at a job.
            check = self._read(new, wait_after=self._wait_after_look)
            self.tasks.spawn(check, self._first_check_done, account=self._held.id)

    def _first_check_done(self) -> None:
        self._first_check_runs = False

    async def _round(self, jobs: Mapping[str, Job]) -> None:
        await self._read(jobs)
        await self._forgotten.look(self._watched.by_provider_id)
        await self._store.record_round(self._held.id, self._clock.now(), self._held.lease)

    async def _read(self, jobs: Mapping[str, Job], *, wait_after: int = 0) -> None:
        """Read these jobs, given by their provider's ids, newest first.

        `wait_after`: the milliseconds that each must then be left alone, 0: until the next round.
        """
        held = set(jobs)
        unread: set[str] = set()

        async def deliver(
            reports: Mapping[str, Report | Unread], *, listed: bool, poll_after_seconds: float = 0.0
        ) -> None:
            unread.update([one for one, report in reports.items() if type(report) is Unread])
            self._forgotten.take(reports, listed=listed)
            wait = max(round(poll_after_seconds * 1000), wait_after)
            if wait_after or wait > self._interval:
                until = self._clock.now() + wait
                self._not_before.update(dict.fromkeys(reports, until))
            elif not listed and self._reader.lost_listing:
                watched = len(self._watched.by_provider_id)
                until_each = self._slowing.until(reports, jobs, self._clock.now(), watched=watched)
                self._not_before.update(until_each)
            await self._record(jobs, reports)
            # From here on a job may be in the next round, whatever else this one waits for.
            held.difference_update(reports)

        self._reading.append(held)
        try:
            await self._reader.read(list(jobs), deliver)
            await self._expire_unread([jobs[one] for one in held | unread])
        finally:
            self._reading.remove(held)

    async def _record(
        self, jobs: Mapping[str, Job], reports: Mapping[str, Report | Unread]
    ) -> None:
        now = self._clock.now()
        transitions: list[Transition] = []
        for one, report in reports.items():
            job = jobs[one]
            if isinstance(report, Unread):
                transition: Transition = (self._unread(job, report, now), ())
            elif now < self._age.deadline(job) and job.is_as(report):
                continue
            else:
                transition = self._applied(job, report, now)
            if transition[0] is not job:
                self._log_change(job, transition[0])
                transitions.append(transition)
        await self._recording.record(transitions, self._held.lease)

    def _unread(self, job: Job, unread: Unread, now: Instant) -> Job:
        """Return the job with what its provider said that tells nothing about it."""
        if not unread.words:
            return job
        return self._wording.limited(job, job.responded(unread.words, now), now)

    def _applied(self, job: Job, report: Report, now: Instant) -> Transition:
        if isinstance(report, Missing):
            return self._missing(job, report, now)
        after, events = job.apply(report, now)
        after = self._wording.limited(job, after, now)
        if now >= self._age.deadline(job) and not after.status.terminal:
            after, last = self._age.unfinished(after, now)
            events = (*events, *last)
        return after, events

    def _missing(self, job: Job, report: Missing, now: Instant) -> Transition:
        """Believe a 404 after ten minutes in which the provider has been answering."""
        if job.missing_since is None:
            self._forgotten.missed(job, now)
        answering_since = self._asking.answered.since(now) or now
        if job.missing_since is not None and job.missing_since < answering_since:
            job = replace(job, missing_since=answering_since)
        return job.apply(report, now)

    async def _expire_unread(self, jobs: Sequence[Job]) -> None:
        now = self._clock.now()
        ended = [self._age.unfinished(job, now) for job in jobs if self._is_given_up(job, now)]
        await self._recording.record(ended, self._held.lease)

    def _is_given_up(self, job: Job, now: Instant) -> bool:
        """Whether a job that can't be read is overdue, and was asked for long enough since.

        Ten minutes count while the provider answers, if not about this job. Where it answers
        nothing its jobs may be finished all the same, so these wait for as long again as they may
        last.
        """
        deadline = self._age.deadline(job)
        if (answering_since := self._asking.answered.since(now)) is not None:
            since = max(deadline, answering_since)
        elif (trying_since := self._asking.tried.since(now)) is not None:
            since = max(deadline + self._age.milliseconds, trying_since)
        else:
            return False
        return now - since >= OVERDUE_UNREAD_MILLISECONDS

    def _log_change(self, before: Job, after: Job) -> None:
        log.debug(
            f"   Status: {before.status.value} → {after.status.value}"
            f" (Progress: {before.progress}% → {after.progress}%)",
            job=before.id,
            provider_job=before.provider_job_id,
        )
