"""Watch: polls the provider for the status of its jobs, in rounds, and records the changes.

Each round is a task, and leaves out the jobs that an earlier round is still reading. So neither a
slow provider nor a single job holds up the next round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, takewhile

from reelhook.core.facts import Emit, JobProgressed, RoundFinished, RoundStarted
from reelhook.core.pause import WatchingPause
from reelhook.core.recording import Recording, Transition
from reelhook.core.wakeups import Signals
from reelhook.domain.age_limits import Age
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import Missing, Report, Unread
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.polling.message_limiter import MessageLimiter
from reelhook.engine.polling.pending_jobs import PendingJobsCache
from reelhook.engine.polling.read_limiter import ReadLimiter
from reelhook.engine.polling.reader import Reader
from reelhook.engine.polling.restart_detector import RestartDetector
from reelhook.engine.polling.round_timer import RoundTimer
from reelhook.engine.polling.slowdown import Slowdown
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, ForgottenStore

OVERDUE_UNREAD_MILLISECONDS = 10 * 60 * 1000
"""The time for which an overdue job that can't be read is still polled, before it fails."""
BREAK_MILLISECONDS_MIN = 60_000
"""The break in reads, or in responses, after which the ten minutes above start again."""

SLACK_MILLISECONDS = 5000
"""The time, in addition to the interval, within which a round notices a missing job."""

COMMIT_MILLISECONDS = 2000
"""The longest time between a job's `accepted_at` and the commit that makes it readable here."""


class Watch:
    """Watches the jobs of one account."""

    name = "watch"

    def __init__(
        self,
        store: ForgottenStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        pause: WatchingPause,
        *,
        poll_seconds: float,
        max_age_hours: float,
        emit: Emit,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._pause = pause
        self._interval = round(max(poll_seconds, leased.provider.traits.poll_seconds_min) * 1000)
        self._wait_after_look = round(leased.provider.traits.poll_seconds_min * 1000)
        self._age = Age(max_age_hours)
        self._emit = emit
        self._clock = clock
        self.signal = signals.watch.fork()
        self.tasks = RunningTasks(self.signal)
        self._limiter = ReadLimiter(
            leased.id,
            leased.health,
            clock,
            self.signal.set,
            break_milliseconds=max(BREAK_MILLISECONDS_MIN, 2 * self._interval),
        )
        self._reader = Reader(leased.provider, self._limiter, clock, emit)
        self._slowdown = Slowdown(self._interval)
        self._timer = RoundTimer(self._interval, leased.id, leased.health)
        self._pending = PendingJobsCache(store, leased.id)
        self._restart_detector = RestartDetector(
            store,
            leased,
            recording,
            signals,
            margin=2 * self._interval + SLACK_MILLISECONDS,
            clock=clock,
        )
        self._first_due_since: Instant = 0
        self._first_checked: set[str] = set()
        self._first_check_runs = False
        self._reading: list[set[str]] = []
        """For each running round, the jobs that it still has to read."""
        self._not_before: dict[str, Instant] = {}
        self._message_limiter = MessageLimiter()

    async def tick(self) -> float | None:
        """Start a round, or the first checks of new jobs; see `Loop`."""
        if self._pause.active:
            return None
        now = self._clock.now()
        if self._timer.is_due(now):
            if self._reader.busy:
                self._timer.defer()
                return None
            await self._start_round(now)
        elif not self._first_check_runs:
            await self._start_first_checks()
        return self._timer.seconds_left(self._clock.now())

    async def _start_round(self, now: Instant) -> None:
        jobs = await self._pending.refresh()
        self._timer.begin(now, len(jobs))
        self._first_due_since = since = now - COMMIT_MILLISECONDS
        newest_first = takewhile(lambda job: (job.accepted_at or 0) >= since, jobs.values())
        self._first_checked = {job.id for job in newest_first}
        self._reader.trim(jobs)
        self._message_limiter.trim(jobs.values())
        self._slowdown.trim(jobs)
        self._not_before = {k: v for k, v in self._not_before.items() if v > now}
        ready = jobs
        if self._reading or self._not_before:
            ready = dict(jobs)
            for job_id in chain(self._not_before, *self._reading):
                ready.pop(job_id, None)
        if ready:
            self._emit(RoundStarted(self._leased.id, len(ready)))
            self.tasks.spawn(self._round(ready), account=self._leased.id)

    async def _start_first_checks(self) -> None:
        since, now = self._first_due_since, self._clock.now()
        recent = await self._store.versions_to_watch(self._leased.id, since)
        self._first_due_since = now - COMMIT_MILLISECONDS  # earlier jobs have been found by now
        ids = [version.partition(":")[0] for version in recent.split(",")] if recent else []
        unchecked = [job_id for job_id in ids if job_id not in self._first_checked]
        found = await self._store.watched_jobs(unchecked) if unchecked else []
        new = {job.provider_job_id: job for job in found if job.provider_job_id is not None}
        if new:
            self._first_checked.update(job.id for job in new.values())
            self._first_check_runs = True
            # The next round may follow soon; some providers require time between two reads of a
            # job.
            check = self._read(new, wait_after=self._wait_after_look)
            self.tasks.spawn(check, self._first_check_done, account=self._leased.id)

    def _first_check_done(self) -> None:
        self._first_check_runs = False

    async def _round(self, jobs: Mapping[str, Job]) -> None:
        started_at = self._clock.now()
        await self._read(jobs)
        await self._restart_detector.settle(self._pending.by_provider_id)
        now = self._clock.now()
        await self._store.record_round(self._leased.id, now, self._leased.lease)
        self._emit(RoundFinished(self._leased.id, len(jobs), now - started_at))

    async def _read(self, jobs: Mapping[str, Job], *, wait_after: int = 0) -> None:
        """Read these jobs, given by their provider's ids, newest first.

        `wait_after` is the time in milliseconds before each job may be read again; 0: the next
        round.
        """
        pending = set(jobs)
        unread: set[str] = set()

        async def on_reports(
            reports: Mapping[str, Report | Unread], *, listed: bool, poll_after_seconds: float = 0.0
        ) -> None:
            unread.update([key for key, report in reports.items() if type(report) is Unread])
            self._restart_detector.note(reports, listed=listed)
            wait = max(round(poll_after_seconds * 1000), wait_after)
            if wait_after or wait > self._interval:
                until = self._clock.now() + wait
                self._not_before.update(dict.fromkeys(reports, until))
            elif not listed and self._reader.lost_listing:
                watched = len(self._pending.by_provider_id)
                until_each = self._slowdown.until(reports, jobs, self._clock.now(), watched=watched)
                self._not_before.update(until_each)
            await self._record(jobs, reports)
            # From now on these jobs may be in the next round, while this one reads the others.
            pending.difference_update(reports)

        self._reading.append(pending)
        try:
            await self._reader.read(list(jobs), on_reports)
            await self._expire_unread([jobs[job_id] for job_id in pending | unread])
        finally:
            self._reading.remove(pending)

    async def _record(
        self, jobs: Mapping[str, Job], reports: Mapping[str, Report | Unread]
    ) -> None:
        now = self._clock.now()
        overdue_since = now - self._age.milliseconds
        transitions: list[Transition] = []
        for job_id, report in reports.items():
            job = jobs[job_id]
            if isinstance(report, Unread):
                transition: Transition = (self._unread(job, report, now), ())
            elif (job.accepted_at or 0) > overdue_since and job.is_unchanged_by(report):
                continue
            else:
                transition = self._applied(job, report, now)
            if transition[0] is not job:
                self._emit(JobProgressed(job, transition[0]))
                transitions.append(transition)
        self._pending.update(await self._recording.record(transitions, self._leased.lease))

    def _unread(self, job: Job, unread: Unread, now: Instant) -> Job:
        """Return the job with the provider's message, which says nothing about its status."""
        if not unread.message:
            return job
        return self._message_limiter.limited(job, job.responded(unread.message, now), now)

    def _applied(self, job: Job, report: Report, now: Instant) -> Transition:
        if isinstance(report, Missing):
            return self._missing(job, report, now)
        after, events = job.apply(report, now)
        after = self._message_limiter.limited(job, after, now)
        if now >= self._age.deadline(job) and not after.status.terminal:
            after, last = self._age.unfinished(after, now)
            events = (*events, *last)
        return after, events

    def _missing(self, job: Job, report: Missing, now: Instant) -> Transition:
        """Apply a 404. It is believed after ten minutes during which the provider responds."""
        if job.missing_since is None:
            self._restart_detector.log_missing(job, now)
        responding_since = self._limiter.responding.since(now) or now
        if job.missing_since is not None and job.missing_since < responding_since:
            job = replace(job, missing_since=responding_since)
        return job.apply(report, now)

    async def _expire_unread(self, jobs: Sequence[Job]) -> None:
        now = self._clock.now()
        ended = [self._age.unfinished(job, now) for job in jobs if self._is_given_up(job, now)]
        await self._recording.record(ended, self._leased.lease)

    def _is_given_up(self, job: Job, now: Instant) -> bool:
        """Return True if an unreadable job is overdue, and was polled for long enough after that.

        Ten minutes are enough while the provider responds to other reads. If it responds to none,
        the job may have finished anyway, so it waits for another maximum age first.
        """
        deadline = self._age.deadline(job)
        if (responding_since := self._limiter.responding.since(now)) is not None:
            since = max(deadline, responding_since)
        elif (trying_since := self._limiter.trying.since(now)) is not None:
            since = max(deadline + self._age.milliseconds, trying_since)
        else:
            return False
        return now - since >= OVERDUE_UNREAD_MILLISECONDS
