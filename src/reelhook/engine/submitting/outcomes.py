"""Records the outcomes of paid calls, each once.

A create is sent again only if the provider definitely did not accept it.
"""

import asyncio
from dataclasses import replace
from random import Random
from typing import assert_never

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.job import Job, Status
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    NotSent,
    RateLimited,
    Refused,
    SubmitOutcome,
)
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.fallback import Fallback, WaitingJob
from reelhook.engine.submitting.retry_after import CreatePause
from reelhook.ports import Acceptance, Clock, StoredJob, SubmitStore

log = structlog.get_logger()
SUBMIT_WAIT_SECONDS_FIRST = 1.0
SUBMIT_WAIT_SECONDS_MAX = 15.0
RECORD_TRIES = 3600
"""One hour of tries: a paid job that is not recorded must be looked up at the provider."""
RECORD_WAIT_SECONDS = 1.0
LOST_REMEDY = "The id may not have been recorded; if the job ends submission_unknown, adopt it"
DUPLICATE_MESSAGE = "The provider responded with the id of another job, which is watched already"


class PaidOutcomes:
    """Records the outcomes of one account's paid calls. `pause` is the pause of its creates."""

    def __init__(
        self,
        store: SubmitStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        fallback: Fallback,
        listing: AccountListing,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._signals = signals
        self._fallback = fallback
        self._listing = listing
        self._clock = clock
        self._random = random
        self.pause = CreatePause(leased.id, leased.health, clock)

    async def record(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        """Record an outcome, with retries while the store fails: no paid job is thrown away."""
        try:
            await self._record_with_retries(stored, outcome)
        except BaseException:  # also at a stop: this line may be the only trace of a paid job
            if isinstance(outcome, Accepted):
                log.error(  # noqa: TRY400 - the traceback of the cancellation says nothing
                    "submit.lost", remedy=LOST_REMEDY, **self._ids(stored, outcome)
                )
            raise

    async def _record_with_retries(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        for _ in range(RECORD_TRIES - 1):
            try:
                await self._record(stored, outcome)
            except DATABASE_FAILURES as error:
                ids = self._ids(stored, outcome)
                log.warning("submit.unrecorded", error=error.message, **ids)
            else:
                return
            await self._clock.wait(asyncio.Event(), RECORD_WAIT_SECONDS)
        await self._record(stored, outcome)

    def _ids(self, stored: StoredJob, outcome: SubmitOutcome) -> dict[str, str | None]:
        provider_job = outcome.provider_job_id if isinstance(outcome, Accepted) else None
        return {"job": stored.job.id, "account": self._leased.id, "provider_job": provider_job}

    async def _record(self, stored: StoredJob, outcome: SubmitOutcome) -> None:
        job = stored.job
        match outcome:
            case Accepted():
                await self._accepted(stored, outcome)
            case NotSent(reason=reason, ours=ours):
                if ours or not await self.fall_back(stored, "provider_error", reason):
                    self._log_failed(job, reason)
                    await self._submit_later(job, self._wait_seconds(job), reason)
            case RateLimited(retry_after_seconds=seconds, reason=reason):
                await self._rate_limited(stored, seconds or self._wait_seconds(job), reason)
            case Refused():
                await self._refused(stored, outcome)
            case InDoubt():
                await self._in_doubt(job, outcome)
            case _:
                assert_never(outcome)

    async def fall_back(self, stored: WaitingJob, code: str, message: str) -> bool:
        """Move a job to its next model. Return False if there is none."""
        return await self._fallback.next_model(stored, code, message, self._leased.lease)

    def _log_failed(self, job: Job, reason: str) -> None:
        if self._leased.health.create_failed(self._clock.now()):
            account = self._leased.id
            log.warning("account.create_failed", account=account, job=job.id, response=reason)

    async def _refused(self, stored: StoredJob, outcome: Refused) -> None:
        if outcome.unauthorized:
            self._leased.health.unauthorized = outcome.message
        elif not outcome.ours:
            self._leased.health.creates_work()
        code, message = outcome.code, outcome.message
        if outcome.ours or not await self.fall_back(stored, code, message):
            failed = stored.job.fail(code, message, self._clock.now())
            await self._recording.record([failed], self._leased.lease)

    async def _rate_limited(self, stored: StoredJob, wait_seconds: float, reason: str) -> None:
        """Pause the account's creates, as its provider asked."""
        until = self.pause.extend(wait_seconds, reason)
        fallback_due = self._fallback.fallback_due(stored, until)
        if not (fallback_due and await self.fall_back(stored, "rate_limited", reason)):
            await self._submit_later(stored.job, wait_seconds, reason)

    async def _accepted(self, stored: StoredJob, outcome: Accepted) -> None:
        self._leased.health.unauthorized = None
        self._leased.health.creates_work()
        now = self._clock.now()
        accepted = stored.job.accept(outcome.provider_job_id, now, quote=outcome.quote)
        transition = accepted.apply(outcome.report, now)
        leased = self._leased
        acceptance = await self._recording.accept(
            self._store, transition, leased.lease, leased.sharing
        )
        if acceptance is Acceptance.TAKEN:
            # An identical request adopted this entry and has ended. Its own entry still exists.
            await self._in_doubt(stored.job)
        elif acceptance is Acceptance.DUPLICATE:
            # Sending it again would pay again, and return the same id again. It was accepted, so
            # its price is spent: a job that was registered by hand has reserved none.
            paid = replace(stored.job, accepted_at=now)
            failed = paid.fail("provider_error", DUPLICATE_MESSAGE, now)
            await self._recording.record([failed], self._leased.lease)
        elif acceptance is Acceptance.RECORDED:
            self._listing.created(outcome.provider_job_id, accepted.model)
            await self._listing.learn_server()
            self._recording.created(accepted, stored.webhook_url)
        elif not await self._accepted_late(stored, outcome):
            log.warning(
                "submit.unwanted", job=accepted.id, provider_job=outcome.provider_job_id
            )  # the job ended during the call, and has left a paid job at the provider

    async def _accepted_late(self, stored: StoredJob, outcome: Accepted) -> bool:
        """Record the response to a call whose job another worker is already looking up.

        It may be recorded already, by a try whose response was lost, or by the look-up. If the
        database has lost the intent, the job is being looked up with an earlier start than this
        call had.
        """
        now, started_at = self._clock.now(), stored.job.submit_started_at or 0
        for job in await self._store.jobs_now([stored.job.id]):
            if job.provider_job_id == outcome.provider_job_id:
                self._recording.created(job, stored.webhook_url)
                return True
            if job.status is Status.SUBMITTING and (job.submit_started_at or 0) <= started_at:
                accepted = job.accept(outcome.provider_job_id, now, quote=outcome.quote)
                transition = accepted.apply(outcome.report, now)
                acceptance = await self._recording.accept(
                    self._store, transition, sharing=self._leased.sharing
                )
                if acceptance is Acceptance.RECORDED:
                    self._recording.created(accepted, stored.webhook_url)
                return acceptance is Acceptance.RECORDED
        return False

    async def _in_doubt(self, job: Job, outcome: InDoubt | None = None) -> None:
        """Leave a job to `Resolve`: the provider may have it."""
        in_doubt = job.in_doubt(self._clock.now(), outcome)
        await self._recording.record([(in_doubt, ())], self._leased.lease)
        self._signals.resolve.set()

    async def _submit_later(self, job: Job, wait_seconds: float, reason: str) -> None:
        now = self._clock.now()
        due_at = now + round(wait_seconds * 1000)
        waiting = job.responded(reason, now).submit_again(due_at, now)
        await self._recording.record([(waiting, ())], self._leased.lease)

    def _wait_seconds(self, job: Job) -> float:
        doublings = min(job.submit_attempts - 1, 10)
        wait: float = min(SUBMIT_WAIT_SECONDS_FIRST * 2**doublings, SUBMIT_WAIT_SECONDS_MAX)
        return wait * (1 + 0.2 * self._random.random())
