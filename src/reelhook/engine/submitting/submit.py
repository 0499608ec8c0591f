"""Submit: creates accepted jobs at their provider, each exactly once.

The intent is stored before the paid call. Whatever the call brings is a value, handled once, by
the rule: only what was definitely refused is ever sent again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import assert_never

import structlog

from reelhook.core.recording import Recording, log_registered
from reelhook.core.wakeups import Signals
from reelhook.domain.age_limits import Age
from reelhook.domain.errors import DATABASE_FAILURES, StoreError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.model_mark import unmarked
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    NotSent,
    RateLimited,
    Refused,
    SubmitOutcome,
)
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.fallback import Fallback, Waiting
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.submitting.retry_after import tell_creates_wait
from reelhook.ports import Acceptance, Clock, StoredJob, SubmitStore

log = structlog.get_logger()
SUBMITS_AT_ONCE = 256
BYTES_AT_ONCE = 8 * 1024 * 1024
"""How much images and options may take of the jobs that one account is submitting."""
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
LOST_REMEDY = "The id may not have been recorded; if the job ends submission_unknown, adopt it"
DUPLICATE_MESSAGE = "The provider answered with the id of another job, which is watched already"


class Submit:
    """Submits the accepted jobs of one account, and those that wait too long for others.

    `takes_overflow_of` are the other accounts whose jobs it may take. `callback_url` returns where
    a job's provider may report changes. `calls` outlives the lease: an earlier `Submit` of the same
    account may still have calls in flight.
    """

    name = "submit"

    def __init__(
        self,
        store: SubmitStore,
        held: LeasedAccount,
        recording: Recording,
        signals: Signals,
        fallback: Fallback,
        listing: AccountListing,
        *,
        takes_overflow_of: Sequence[str] = (),
        calls: PaidCalls,
        max_age_hours: float,
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
        self._listing = listing
        self._relieved = takes_overflow_of
        self._age = Age(max_age_hours)
        self.calls = calls
        self._may_send = may_send
        self._callback_url = callback_url
        self._clock = clock
        self._random = random
        self._blocked_until = 0
        self._looked_at = 0
        self._refusal = ""
        self.signal = signals.submit.fork()
        self.tasks = RunningTasks(self.signal)
        self._intended: dict[str, StoredJob] = {}
        """Jobs whose intent is being stored, or was as far as anyone can tell, by their ids."""
        self._bytes = 0

    def owned(self) -> set[str]:
        """Return the jobs whose paid call is in flight, or whose intent may have been stored."""
        return self.calls.owned().union(self._intended)

    async def tick(self) -> float | None:
        """Submit what is due; see `Loop`."""
        await self._take_up()
        now, before = self._clock.now(), self._looked_at
        self._looked_at = now
        if now < before:  # the clock was set back: when the provider's wait ends is not known
            self._blocked_until = 0
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
        due = await self._ready(due)
        if due and not await self._begin(due):
            return WAIT_SECONDS_FIRST  # all of them have changed, or the lease was lost
        if due:
            self.signal.set()  # there may be more than fitted
        waits = [look, None if next_due_at is None else max(0.0, (next_due_at - now) / 1000)]
        return min((wait for wait in waits if wait is not None), default=None)

    @property
    def _jobs_max(self) -> int | None:
        """What the operator allows counts before what the server can take."""
        account = self._held.account
        return self._held.provider.jobs_at_once if account.jobs_max is None else account.jobs_max

    async def _free(self) -> tuple[int, float | None]:
        """Return how many more may begin, and in how many seconds to look anew."""
        free = SUBMITS_AT_ONCE - len(self.tasks)
        jobs_max = self._jobs_max
        if jobs_max is None or free <= 0:
            return free, None
        return min(free, jobs_max - await self._store.in_flight(self._held.id)), FULL_LOOK_SECONDS

    async def _ready(self, due: list[StoredJob]) -> list[StoredJob]:
        """Return what may begin, once the adapter knows what creates need to know of the server."""
        if not due:
            return due
        before = self._jobs_max
        await self._listing.remind()
        await self._held.provider.get_ready()
        await self._listing.learn_server()
        return due if self._jobs_max == before else due[: max(0, (await self._free())[0])]

    async def _send_impatient_on(self, now: Instant) -> None:
        """While the provider refuses everything: those that waited for it long enough go on."""
        waiting = await self._store.jobs_with_fallbacks(
            self._held.id, self._fallback.fallback_cutoff(now), IMPATIENT_AT_ONCE
        )
        for stored in waiting:
            if self._fallback.fallback_due(stored, now):
                await self._send_on(stored, "rate_limited", self._refusal)

    async def _begin(self, due: list[StoredJob]) -> int:
        """Begin what may still begin, and end what is past its age; return how many those were."""
        now = self._clock.now()
        late = [stored.job for stored in due if not self._age.may_begin(stored.job, now)]
        ended = await self._recording.record(
            [self._age.unaccepted(job, now) for job in late], self._held.lease
        )
        # What is in the listing by now is older than what these creates will make.
        sent = partial(
            Job.submitting,
            now=now,
            fingerprint=self._listing.fingerprint,
            after=await self._listing.newest(),
        )
        intents = {
            stored.job.id: self._intent(stored, sent)
            for stored in due
            if self._age.may_begin(stored.job, now)
        }
        fresh = intents.keys() - self._intended.keys()
        # Whoever finds an intent in the store must find its owner here.
        self._intended |= intents
        storing = asyncio.create_task(self._store_intents(intents, fresh))
        try:
            return len(ended) + await asyncio.shield(storing)
        except asyncio.CancelledError:
            # The tick was cut off: what it stores is begun all the same.
            self.tasks.spawn(self._begin_late(storing))
            raise

    def _intent(self, stored: StoredJob, sent: Callable[..., Job]) -> StoredJob:
        earlier = self._intended.get(stored.job.id)
        if earlier is not None and earlier.job.version == stored.job.version:
            # It may still be written. So it is written again as it was, whichever comes first.
            return earlier
        job = stored.job.taken_over(self._held.id)
        request = self._held.provider.prepared(stored.request, job.id)
        model, mark = unmarked(request.model)
        return replace(
            stored,
            job=sent(replace(job, model=model), marked=mark is not None),
            request=request,
        )

    async def _store_intents(self, intents: dict[str, StoredJob], fresh: set[str]) -> int:
        transitions = [(intent.job, ()) for intent in intents.values()]
        with self.calls.beginning(intents):
            try:
                begun = await self._recording.record(transitions, self._held.lease)
            except StoreError:  # none was stored now or will be; an earlier try may have been
                for job_id in fresh:
                    self._intended.pop(job_id, None)
                raise
            for job in begun:
                self._call(replace(intents[job.id], job=job))
        return len(begun)

    async def _begin_late(self, storing: asyncio.Task[int]) -> None:
        with contextlib.suppress(*DATABASE_FAILURES):
            await storing

    async def _take_up(self) -> None:
        """Begin what was stored though nobody said so, as where the response to COMMIT was lost.

        What was not stored is due again, or another's. What is not known stays ours until then.
        """
        if not self._intended:
            return
        stored = {job.id: job for job in await self._store.jobs_now(list(self._intended))}
        for job_id, intent in list(self._intended.items()):
            job = stored.get(job_id)
            if job == replace(intent.job, version=intent.job.version + 1):
                log.warning("submit.taken_up", job=job_id)
                self._call(replace(intent, job=job))
            elif job is None or job.version > intent.job.version:
                del self._intended[job_id]

    def _call(self, stored: StoredJob) -> None:
        job_id = stored.job.id
        self._intended.pop(job_id, None)
        size = _size(stored)
        self._bytes += size
        self.calls.add(
            job_id, self.tasks.spawn(self._submit(stored), partial(self._forget, size), job=job_id)
        )

    def _forget(self, size: int) -> None:
        self._bytes -= size

    async def _submit(self, stored: StoredJob) -> None:
        job = stored.job
        outcome = await self._held.provider.submit(
            stored.request, partial(self._may_pay, job), self._callback_url(job.id)
        )
        log.debug(
            "submit.outcome",
            job=job.id,
            attempt=job.submit_attempts,
            outcome=type(outcome).__name__,
            provider_job=getattr(outcome, "provider_job_id", None),
            reason=getattr(outcome, "reason", getattr(outcome, "message", None)),
        )
        try:
            await self._settle_at_last(stored, outcome)
        except BaseException:  # a stop too: this line may be all that leads to what was paid for
            if isinstance(outcome, Accepted):
                log.error(  # noqa: TRY400 - where it was cut off says nothing
                    "submit.lost", remedy=LOST_REMEDY, **self._ids(stored, outcome)
                )
            raise

    async def _settle_at_last(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        """Settle an outcome, however long the store can't: what was paid for is not thrown away."""
        for _ in range(RECORD_TRIES - 1):
            try:
                await self._settle(stored, outcome)
            except DATABASE_FAILURES as error:
                ids = self._ids(stored, outcome)
                log.warning("submit.unrecorded", error=error.message, **ids)
            else:
                return
            await self._clock.wait(asyncio.Event(), RECORD_WAIT_SECONDS)
        await self._settle(stored, outcome)

    def _may_pay(self, job: Job) -> bool:
        """Whether the call may go out, now that its connection stands: that may have taken long."""
        return self._may_send() and self._age.may_begin(job, self._clock.now())

    def _ids(self, stored: StoredJob, outcome: SubmitOutcome) -> dict[str, str | None]:
        provider_job = outcome.provider_job_id if isinstance(outcome, Accepted) else None
        return {"job": stored.job.id, "account": self._held.id, "provider_job": provider_job}

    async def _settle(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        job = stored.job
        match outcome:
            case Accepted():
                await self._accepted(stored, outcome)
            case NotSent(reason=reason, ours=ours):
                if ours or not await self._send_on(stored, "provider_error", reason):
                    await self._again(job, self._wait_seconds(job), reason)
            case RateLimited(retry_after_seconds=seconds, reason=reason):
                await self._wait(stored, seconds or self._wait_seconds(job), reason)
            case Refused(code=code, message=message, unauthorized=unauthorized):
                if unauthorized:
                    self._signals.account(self._held.id).unauthorized = message
                else:
                    self._signals.account(self._held.id).creates_work()
                if not await self._send_on(stored, code, message):
                    failed = job.fail(code, message, self._clock.now())
                    await self._recording.record([failed], self._held.lease)
            case InDoubt():
                await self._in_doubt(job, outcome)
            case _:
                assert_never(outcome)

    async def _send_on(self, stored: Waiting, code: str, message: str) -> bool:
        return await self._fallback.next_model(stored, code, message, self._held.lease)

    async def _wait(self, stored: StoredJob, wait_seconds: float, reason: str) -> None:
        """Leave the provider alone for a while, as it asked."""
        until = self._clock.now() + round(wait_seconds * 1000)
        self._blocked_until = max(self._blocked_until, until)
        self._refusal = reason
        tell_creates_wait(
            self._held.id,
            self._signals.account(self._held.id),
            self._blocked_until,
            self._clock.now(),
            reason,
        )
        self._signals.account(self._held.id).creates_refused(reason, self._clock.now())
        impatient = self._fallback.fallback_due(stored, until)
        if not (impatient and await self._send_on(stored, "rate_limited", reason)):
            await self._again(stored.job, wait_seconds, reason)

    async def _accepted(self, stored: StoredJob, outcome: Accepted) -> None:
        health = self._signals.account(self._held.id)
        health.unauthorized = None
        health.creates_work()
        now = self._clock.now()
        accepted = stored.job.accept(outcome.provider_job_id, now, quote=outcome.quote)
        transition = accepted.apply(outcome.report, now)
        held = self._held
        acceptance = await self._recording.accept(self._store, transition, held.lease, held.sharing)
        if acceptance is Acceptance.TAKEN:
            # An identical request adopted this entry and has ended: its own one is still there.
            await self._in_doubt(stored.job)
        elif acceptance is Acceptance.DUPLICATE:
            # Sending it again would pay again, and bring the same id again.
            failed = stored.job.fail("provider_error", DUPLICATE_MESSAGE, now)
            await self._recording.record([failed], self._held.lease)
        elif acceptance is Acceptance.RECORDED:
            self._listing.created(outcome.provider_job_id, accepted.model)
            await self._listing.learn_server()
            log_registered(accepted, stored.webhook_url)
        elif not await self._accepted_late(stored, outcome):
            log.warning(
                "submit.unwanted", job=accepted.id, provider_job=outcome.provider_job_id
            )  # it ended while it was being created: what it left there is paid for

    async def _accepted_late(self, stored: StoredJob, outcome: Accepted) -> bool:
        """Record an answer to a call that another worker looks up by now: it still tells.

        It may be recorded already, by a try whose response was lost or by whoever looked it up.
        Where the database lost the intent, it is looked up with an earlier start than the call had.
        """
        now, started_at = self._clock.now(), stored.job.submit_started_at or 0
        for job in await self._store.jobs_now([stored.job.id]):
            if job.provider_job_id == outcome.provider_job_id:
                log_registered(job, stored.webhook_url)
                return True
            if job.status is Status.SUBMITTING and (job.submit_started_at or 0) <= started_at:
                accepted = job.accept(outcome.provider_job_id, now, quote=outcome.quote)
                transition = accepted.apply(outcome.report, now)
                acceptance = await self._recording.accept(
                    self._store, transition, sharing=self._held.sharing
                )
                if acceptance is Acceptance.RECORDED:
                    log_registered(accepted, stored.webhook_url)
                return acceptance is Acceptance.RECORDED
        return False

    async def _in_doubt(self, job: Job, outcome: InDoubt | None = None) -> None:
        doubtful = job.in_doubt(self._clock.now(), outcome)
        await self._recording.record([(doubtful, ())], self._held.lease)
        self._signals.resolve.set()

    async def _again(self, job: Job, wait_seconds: float, reason: str) -> None:
        now = self._clock.now()
        due_at = now + round(wait_seconds * 1000)
        waits = job.responded(reason, now).submit_again(due_at, now)
        await self._recording.record([(waits, ())], self._held.lease)

    def _wait_seconds(self, job: Job) -> float:
        doublings = min(job.submit_attempts - 1, 10)
        wait: float = min(WAIT_SECONDS_FIRST * 2**doublings, WAIT_SECONDS_MAX)
        return wait * (1 + 0.2 * self._random.random())


def _size(stored: StoredJob) -> int:
    request = stored.request
    return len(request.image or "") + len(request.options_json or "")
