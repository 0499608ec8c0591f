"""Submit: creates accepted jobs at their provider, each exactly once.

The intent is stored before the paid call. The outcome of the call is a value that is recorded
once (`outcomes`). A create is sent again only if the provider definitely did not accept it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import structlog

from reelhook.core.facts import Emit, SubmitDecided
from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.age_limits import Age
from reelhook.domain.errors import DATABASE_FAILURES, InvalidRequestError, StoreError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.model_mark import unmarked
from reelhook.domain.report import NotSent, Refused, SubmitOutcome
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.carried_files import CarriedFiles, FileAddress, no_address
from reelhook.engine.submitting.fallback import Fallback
from reelhook.engine.submitting.outcomes import SUBMIT_WAIT_SECONDS_FIRST, PaidOutcomes
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.ports import Clock, StoredJob, SubmitStore

log = structlog.get_logger()
SUBMITS_AT_ONCE = 256
BYTES_AT_ONCE = 6 * 1024 * 1024
"""The most memory for media and options of the jobs that one account is submitting.

A job with more is submitted too, but with few others.
"""
FILE_MISSING = "A file of the request is not stored any more, so nothing was sent; ask for it again"
FALLBACKS_AT_ONCE = 1000
FULL_LOOK_SECONDS = 1.0
"""The time between two looks at a full account."""
SIBLING_LOOK_SECONDS = 2.0
SIBLING_WAIT_MILLISECONDS = 2000
"""The time after which another account of the provider may take a job that waits for its own."""


class Submit:
    """Submits the accepted jobs of one account, and those that wait too long for others.

    `takes_overflow_of` has the other accounts whose jobs it may take. `callback_url` returns the
    URL at which a job's provider may report changes, and `file_address` the one at which it may
    fetch a stored file. `calls` outlives the lease: an earlier
    `Submit` of the same account may still have calls in flight.
    """

    name = "submit"

    def __init__(
        self,
        store: SubmitStore,
        leased: LeasedAccount,
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
        file_address: FileAddress = no_address,
        emit: Emit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._fallback = fallback
        self._listing = listing
        self._takes_overflow_of = takes_overflow_of
        self._age = Age(max_age_hours)
        self.calls = calls
        self._may_send = may_send
        self._callback_url = callback_url
        self._files = CarriedFiles(store, leased.provider, file_address)
        self._emit = emit
        self._clock = clock
        self._outcomes = PaidOutcomes(
            *(store, leased, recording, signals, fallback, listing), clock=clock, random=random
        )
        self._ticked_at = 0
        self.signal = signals.submit.fork()
        self.tasks = RunningTasks(self.signal)
        self._intents: dict[str, StoredJob] = {}
        """The jobs whose intent is being stored, or may have been stored, by id."""
        self._bytes = 0

    def owned(self) -> set[str]:
        """Return the jobs whose paid call is in flight, or whose intent may have been stored."""
        return self.calls.owned().union(self._intents)

    async def tick(self) -> float | None:
        """Submit what is due; see `Loop`."""
        await self._begin_stored_intents()
        now, pause = self._clock.now(), self._outcomes.pause
        if now < self._ticked_at:  # the clock was set back: the end of the pause is unknown
            pause.until = 0
        self._ticked_at = now
        if now < pause.until:
            await self._fall_back_overdue(now)
            return min((pause.until - now) / 1000, SIBLING_LOOK_SECONDS)
        free, look = await self._free()
        bytes_free = BYTES_AT_ONCE - self._bytes
        if free <= 0 or bytes_free <= 0:
            return look  # a call that ends sets the signal
        due, next_due_at = await self._store.jobs_to_submit(self._leased.id, now, free, bytes_free)
        bytes_free -= sum(stored.size for stored in due)
        if self._takes_overflow_of and len(due) < free and bytes_free > 0:
            due += await self._store.jobs_waiting_elsewhere(
                self._leased.id,
                self._takes_overflow_of,
                now - SIBLING_WAIT_MILLISECONDS,
                free - len(due),
                bytes_free,
            )
            look = SIBLING_LOOK_SECONDS
        due = await self._ready(due)
        if due and not await self._begin(due):
            return SUBMIT_WAIT_SECONDS_FIRST  # all of them have changed, or the lease was lost
        if due:
            self.signal.set()  # more jobs may be due than fitted
        waits = [look, None if next_due_at is None else max(0.0, (next_due_at - now) / 1000)]
        return min((wait for wait in waits if wait is not None), default=None)

    @property
    def _jobs_max(self) -> int | None:
        """The operator's limit, or else the server's."""
        account = self._leased.account
        return self._leased.provider.jobs_at_once if account.jobs_max is None else account.jobs_max

    async def _free(self) -> tuple[int, float | None]:
        """Return how many more jobs may begin, and the seconds until the next look."""
        free = SUBMITS_AT_ONCE - len(self.tasks)
        jobs_max = self._jobs_max
        if jobs_max is None or free <= 0:
            return free, None
        return min(free, jobs_max - await self._store.in_flight(self._leased.id)), FULL_LOOK_SECONDS

    async def _ready(self, due: list[StoredJob]) -> list[StoredJob]:
        """Return the jobs that may begin, after the adapter has learnt about its server."""
        if not due:
            return due
        before = self._jobs_max
        await self._listing.remind()
        await self._leased.provider.get_ready()
        await self._listing.learn_server()
        return due if self._jobs_max == before else due[: max(0, (await self._free())[0])]

    async def _fall_back_overdue(self, now: Instant) -> None:
        """Move jobs that have waited long enough for a paused provider to their next models."""
        waiting = await self._store.jobs_with_fallbacks(
            self._leased.id, self._fallback.fallback_cutoff(now), FALLBACKS_AT_ONCE
        )
        for stored in waiting:
            if self._fallback.fallback_due(stored, now):
                reason = self._outcomes.pause.reason
                await self._outcomes.fall_back(stored, "rate_limited", reason)

    # -- intents ------------------------------------------------------------------------------

    async def _begin(self, due: list[StoredJob]) -> int:
        """Begin the jobs that are not too old, and end the others. Return the number of both."""
        now = self._clock.now()
        late = [stored.job for stored in due if not self._age.may_begin(stored.job, now)]
        ended = await self._recording.record(
            [self._age.unaccepted(job, now) for job in late], self._leased.lease
        )
        # All entries in the listing now are older than those that these creates will make.
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
        new = intents.keys() - self._intents.keys()
        # Anyone who finds an intent in the store must find its owner here.
        self._intents |= intents
        storing = asyncio.create_task(self._store_intents(intents, new))
        try:
            return len(ended) + await asyncio.shield(storing)
        except asyncio.CancelledError:
            # The tick was canceled, but every stored intent must still be carried out.
            self.tasks.spawn(self._finish_storing(storing))
            raise

    def _intent(self, stored: StoredJob, sent: Callable[..., Job]) -> StoredJob:
        earlier = self._intents.get(stored.job.id)
        if earlier is not None and earlier.job.version == stored.job.version:
            # It may still be written, so it is written again unchanged: either write is fine.
            return earlier
        job = stored.job.taken_over(self._leased.id)
        request = self._leased.provider.prepared(stored.request, job.id)
        model, mark = unmarked(request.model)
        return replace(
            stored,
            job=sent(replace(job, model=model), marked=mark is not None),
            request=request,
        )

    async def _store_intents(self, intents: dict[str, StoredJob], new: set[str]) -> int:
        transitions = [(intent.job, ()) for intent in intents.values()]
        with self.calls.beginning(intents):
            try:
                begun = await self._recording.record(transitions, self._leased.lease)
            except StoreError:  # none was or will be stored, except by an earlier try
                for job_id in new:
                    self._intents.pop(job_id, None)
                raise
            for job in begun:
                self._call(replace(intents[job.id], job=job))
        return len(begun)

    async def _finish_storing(self, storing: asyncio.Task[int]) -> None:
        with contextlib.suppress(*DATABASE_FAILURES):
            await storing

    async def _begin_stored_intents(self) -> None:
        """Begin the intents that were stored although the response to COMMIT was lost.

        An intent that was not stored is due again, or belongs to another worker. Until that is
        known, this worker keeps it.
        """
        if not self._intents:
            return
        stored = {job.id: job for job in await self._store.jobs_now(list(self._intents))}
        for job_id, intent in list(self._intents.items()):
            job = stored.get(job_id)
            if job == replace(intent.job, version=intent.job.version + 1):
                log.warning("submit.taken_up", job=job_id)
                self._call(replace(intent, job=job))
            elif job is None or job.version > intent.job.version:
                del self._intents[job_id]

    # -- the paid call ------------------------------------------------------------------------

    def _call(self, stored: StoredJob) -> None:
        job_id = stored.job.id
        self._intents.pop(job_id, None)
        size = stored.size
        self._bytes += size
        task = self.tasks.spawn(self._submit(stored), partial(self._free_bytes, size), job=job_id)
        self.calls.add(job_id, task)

    def _free_bytes(self, size: int) -> None:
        self._bytes -= size

    async def _submit(self, stored: StoredJob) -> None:
        outcome = await self._outcome(stored)
        self._emit(SubmitDecided(stored.job, outcome))
        await self._outcomes.record(stored, outcome)

    async def _outcome(self, stored: StoredJob) -> SubmitOutcome:
        """Send the request with its files. Without one of them, nothing is sent."""
        job = stored.job
        try:
            request = await self._files.request(stored)
        except DATABASE_FAILURES as error:
            return NotSent(f"Its files can't be read: {error.message}", ours=True)
        except KeyError:
            return Refused("file_missing", FILE_MISSING, ours=True)
        except InvalidRequestError as error:
            return Refused(error.code, error.message)
        may_pay = partial(self._may_pay, job)
        return await self._leased.provider.submit(request, may_pay, self._callback_url(job.id))

    def _may_pay(self, job: Job) -> bool:
        """Return True if the call may still be sent: connecting may have taken long."""
        return self._may_send() and self._age.may_begin(job, self._clock.now())
