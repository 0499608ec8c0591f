"""Submit: creates accepted jobs at their provider, each exactly once.

The intent is stored before the paid call. Whatever the call brings is a value, handled once, by
the rule: only what was surely refused is ever sent again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import assert_never

import structlog

from reelhook.domain.errors import StoreError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    NotSent,
    RateLimited,
    Refused,
    SubmitOutcome,
)
from reelhook.engine.fallback import Fallback, Waiting
from reelhook.engine.held import Held
from reelhook.engine.runner import Tasks
from reelhook.ports import Acceptance, Clock, StoredJob, SubmitStore
from reelhook.recording import Recording, log_registered
from reelhook.signals import Signals

log = structlog.get_logger()
SUBMITS_AT_ONCE = 256
BYTES_AT_ONCE = 8 * 1024 * 1024
"""How much pictures and options may take of the jobs that one account is submitting."""
IMPATIENT_AT_ONCE = 1000
WAIT_SECONDS_FIRST = 1.0
WAIT_SECONDS_MAX = 15.0
FULL_LOOK_SECONDS = 1.0
"""How often an account that has its fill is looked at anew."""
SIBLING_LOOK_SECONDS = 2.0
SIBLING_WAIT_MILLISECONDS = 2000
"""How long a job waits for its own account before another one of its provider takes it."""
RECORD_TRIES = 3600
"""For an hour: without its record a job that was paid for has to be looked for."""
RECORD_WAIT_SECONDS = 1.0
DUPLICATE_MESSAGE = "The provider answered with the id of another job, which is watched already"


class Submit:
    """Submits the accepted jobs of one account, and those that wait too long for others.

    `relieved` are the other accounts whose jobs it may take. `callback_url` tells, for a job, where
    its provider may tell of changes.
    """

    name = "submit"

    def __init__(
        self,
        store: SubmitStore,
        held: Held,
        recording: Recording,
        signals: Signals,
        fallback: Fallback,
        *,
        relieved: Sequence[str] = (),
        may_send: Callable[[], bool],
        callback_url: Callable[[str], str | None] = lambda _: None,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._held = held
        self._recording = recording
        self._signals = signals
        self._fallback = fallback
        self._relieved = relieved
        self._may_send = may_send
        self._callback_url = callback_url
        self._clock = clock
        self._random = random
        self._blocked_until = 0
        self._refusal = ""
        self.signal = signals.submit.fork()
        self.tasks = Tasks(self.signal)
        self._beginning: set[str] = set()
        self._bytes = 0
        self.live: dict[str, asyncio.Task[None]] = {}
        """The paid calls under way, by job id."""

    def owns(self, job_id: str) -> bool:
        """Whether the job's paid call is under way, or its intent is just being stored."""
        return job_id in self.live or job_id in self._beginning

    async def tick(self) -> float | None:
        """Submit what is due; see `Loop`."""
        now = self._clock.now()
        if now < self._blocked_until:
            await self._send_impatient_on(now)
            return min((self._blocked_until - now) / 1000, SIBLING_LOOK_SECONDS)
        free, look = await self._free()
        room = BYTES_AT_ONCE - self._bytes
        if free <= 0 or room <= 0:
            return look  # what ends sets the signal
        due, next_due_at = await self._store.jobs_to_submit(self._held.id, now, free, room)
        room -= sum(map(_size, due))
        if self._relieved and len(due) < free and room > 0:
            due += await self._store.jobs_waiting_elsewhere(
                self._relieved, now - SIBLING_WAIT_MILLISECONDS, free - len(due), room
            )
            look = SIBLING_LOOK_SECONDS
        if due and not await self._begin(due):
            return WAIT_SECONDS_FIRST  # all of them have changed, or the lease was lost
        if due:
            self.signal.set()  # there may be more than fitted
        waits = [look, None if next_due_at is None else max(0.0, (next_due_at - now) / 1000)]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _free(self) -> tuple[int, float | None]:
        """Return how many more may begin, and in how many seconds to look anew."""
        free = SUBMITS_AT_ONCE - len(self.tasks)
        jobs_max = self._held.account.jobs_max
        if jobs_max is None or free <= 0:
            return free, None
        return min(free, jobs_max - await self._store.in_flight(self._held.id)), FULL_LOOK_SECONDS

    async def _send_impatient_on(self, now: Instant) -> None:
        """While the provider refuses everything: those that waited for it long enough go on."""
        waiting = await self._store.jobs_with_fallbacks(
            self._held.id, self._fallback.impatient_since(now), IMPATIENT_AT_ONCE
        )
        for stored in waiting:
            if self._fallback.is_impatient(stored, now):
                await self._send_on(stored, "rate_limited", self._refusal)

    async def _begin(self, due: list[StoredJob]) -> int:
        now, account = self._clock.now(), self._held.id
        read = {stored.job.id: stored for stored in due}
        intents = [(stored.job.taken_over(account).submitting(now), ()) for stored in due]
        # Whoever finds an intent in the store must find its owner here.
        self._beginning = set(read)
        try:
            begun = await self._recording.record(intents, self._held.lease)
            for job in begun:
                stored = replace(read[job.id], job=job)
                self._bytes += _size(stored)
                forget = partial(self._forget, job.id, _size(stored))
                self.live[job.id] = self.tasks.spawn(self._submit(stored), forget, job=job.id)
        finally:
            self._beginning = set()
        return len(begun)

    def _forget(self, job_id: str, size: int) -> None:
        self.live.pop(job_id, None)
        self._bytes -= size

    async def _submit(self, stored: StoredJob) -> None:
        job = stored.job
        outcome = await self._held.provider.submit(
            stored.request, self._may_send, self._callback_url(job.id)
        )
        log.debug(
            "submit.outcome",
            job=job.id,
            attempt=job.submit_attempts,
            outcome=type(outcome).__name__,
            provider_job=getattr(outcome, "provider_job_id", None),
            reason=getattr(outcome, "reason", getattr(outcome, "message", None)),
        )
        for _ in range(RECORD_TRIES - 1):
            try:
                await self._settle(stored, outcome)
                return
            except StoreError as error:  # what was paid for is not thrown away
                log.warning("submit.unrecorded", job=job.id, error=error.message)
            await self._clock.wait(asyncio.Event(), RECORD_WAIT_SECONDS)
        await self._settle(stored, outcome)

    async def _settle(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        job = stored.job
        match outcome:
            case Accepted():
                await self._accepted(stored, outcome)
            case NotSent(reason=reason, ours=ours):
                if ours or not await self._send_on(stored, "provider_error", reason):
                    await self._again(job, self._wait_seconds(job))
            case RateLimited(retry_after_seconds=seconds, reason=reason):
                await self._wait(stored, seconds or self._wait_seconds(job), reason)
            case Refused(code=code, message=message, unauthorized=unauthorized):
                if unauthorized:
                    self._signals.account(self._held.id).unauthorized = message
                if not await self._send_on(stored, code, message):
                    failed = job.fail(code, message, self._clock.now())
                    await self._recording.record([failed], self._held.lease)
            case InDoubt():
                await self._in_doubt(job)
            case _:
                assert_never(outcome)

    async def _send_on(self, stored: Waiting, code: str, message: str) -> bool:
        return await self._fallback.next_model(stored, code, message, self._held.lease)

    async def _wait(self, stored: StoredJob, wait_seconds: float, reason: str) -> None:
        """Leave the provider alone for a while, as it asked."""
        until = self._clock.now() + round(wait_seconds * 1000)
        self._blocked_until = max(self._blocked_until, until)
        self._refusal = reason
        impatient = self._fallback.is_impatient(stored, until)
        if not (impatient and await self._send_on(stored, "rate_limited", reason)):
            await self._again(stored.job, wait_seconds)

    async def _accepted(self, stored: StoredJob, outcome: Accepted) -> None:
        self._signals.account(self._held.id).unauthorized = None
        now = self._clock.now()
        accepted = stored.job.accept(outcome.provider_job_id, now, quote=outcome.quote)
        transition = accepted.apply(outcome.report, now)
        acceptance = await self._recording.accept(self._store, transition, self._held.lease)
        if acceptance is Acceptance.TAKEN:
            # An identical request adopted this entry and has ended: its own one is still there.
            await self._in_doubt(stored.job)
        elif acceptance is Acceptance.DUPLICATE:
            # Sending it again would pay again, and bring the same id again.
            failed = stored.job.fail("provider_error", DUPLICATE_MESSAGE, now)
            await self._recording.record([failed], self._held.lease)
        elif acceptance is Acceptance.RECORDED:
            log_registered(accepted, stored.webhook_url)
        elif not await self._accepted_late(stored, outcome):
            log.warning(
                "submit.unwanted", job=accepted.id, provider_job=outcome.provider_job_id
            )  # it ended while it was being created: what it left there is paid for

    async def _accepted_late(self, stored: StoredJob, outcome: Accepted) -> bool:
        """Record an answer to a call that another worker looks up by now: it still tells."""
        now, started_at = self._clock.now(), stored.job.submit_started_at
        for one in await self._store.jobs_submitting(self._held.id):
            job = one.job
            if job.id == stored.job.id and job.submit_started_at == started_at:
                accepted = job.accept(outcome.provider_job_id, now, quote=outcome.quote)
                transition = accepted.apply(outcome.report, now)
                acceptance = await self._recording.accept(self._store, transition)
                if acceptance is Acceptance.RECORDED:
                    log_registered(accepted, stored.webhook_url)
                return acceptance is Acceptance.RECORDED
        return False

    async def _in_doubt(self, job: Job) -> None:
        await self._recording.record([(job.in_doubt(self._clock.now()), ())], self._held.lease)
        self._signals.resolve.set()

    async def _again(self, job: Job, wait_seconds: float) -> None:
        now = self._clock.now()
        due_at = now + round(wait_seconds * 1000)
        await self._recording.record([(job.submit_again(due_at, now), ())], self._held.lease)

    def _wait_seconds(self, job: Job) -> float:
        doublings = min(job.submit_attempts - 1, 10)
        wait: float = min(WAIT_SECONDS_FIRST * 2**doublings, WAIT_SECONDS_MAX)
        return wait * (1 + 0.2 * self._random.random())


def _size(stored: StoredJob) -> int:
    request = stored.request
    return len(request.image or "") + len(request.provider_options or "")
