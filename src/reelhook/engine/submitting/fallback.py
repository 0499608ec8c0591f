"""Fallback: moves a job to its next model after a provider definitely did not accept it."""

from random import Random

import structlog

from reelhook.core.facts import Emit, JobFellBack
from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.fallback import fall_back
from reelhook.domain.pricing import estimate_on
from reelhook.domain.request import VideoRequest
from reelhook.ports import Clock, JobReads, Lease, ListedJob, StoredJob

log = structlog.get_logger()
WaitingJob = StoredJob | ListedJob


class Fallback:
    """Moves jobs to their next models.

    `wait_seconds` is the time that a job first waits for a provider that rate-limits it (429).
    """

    def __init__(
        self,
        store: JobReads,
        catalog: Catalog,
        recording: Recording,
        signals: Signals,
        *,
        wait_seconds: float,
        emit: Emit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._recording = recording
        self._signals = signals
        self._wait_milliseconds = round(wait_seconds * 1000)
        self._emit = emit
        self._clock = clock
        self._random = random

    def fallback_cutoff(self, now: Instant) -> Instant:
        """Return the latest start of a wait after which a job moves on now."""
        return now - self._wait_milliseconds

    def fallback_due(self, stored: WaitingJob, until: Instant) -> bool:
        """Return True if a job that has another model would wait too long by that instant."""
        job = stored.job
        since = job.created_at if job.model_since is None else job.model_since
        more = job.fallback < len(stored.fallbacks)
        return more and until - since > self._wait_milliseconds

    async def next_model(self, stored: WaitingJob, code: str, message: str, lease: Lease) -> bool:
        """Move the job to its next model. Return False if there is none.

        A job that another worker has changed counts as moved.
        """
        job, fallbacks = stored.job, stored.fallbacks
        for number in range(job.fallback, len(fallbacks)):
            try:
                choice = self._catalog.choose(fallbacks[number], "fallbacks")
            except InvalidRequestError as error:  # its account was removed in the meantime
                log.warning("fallback.unknown", job=job.id, error=error.message)
                continue
            estimate = estimate_on(choice, await self._request(stored))
            account = choice.pick(self._random)
            moved = fall_back(
                job,
                account=account.id,
                provider=choice.provider,
                model=choice.model,
                pinned=choice.pinned,
                estimate=estimate,
                given_up=number + 1,
                code=code,
                message=message,
                now=self._clock.now(),
            )
            await self._recording.record([moved], lease)
            self._emit(JobFellBack(job, choice.display_name, message))
            self._signals.submit.publish()
            return True
        return False

    async def _request(self, stored: WaitingJob) -> VideoRequest:
        """Return the job's whole request: a list does not show all that its price depends on."""
        if isinstance(stored, StoredJob):
            return stored.request
        return (await self._store.job(stored.job.id)).request
