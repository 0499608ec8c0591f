"""Fallback: the next model of a request, where the one before definitely did not take the job."""

from random import Random

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.fallback import fall_back
from reelhook.ports import Clock, Lease, ListedJob, StoredJob

log = structlog.get_logger()
Waiting = StoredJob | ListedJob


class Fallback:
    """Sends jobs on to their next models.

    `wait_seconds`: how long a job waits for a provider that refuses for now (429), before that.
    """

    def __init__(
        self,
        catalog: Catalog,
        recording: Recording,
        signals: Signals,
        *,
        wait_seconds: float,
        clock: Clock,
        random: Random,
    ) -> None:
        self._catalog = catalog
        self._recording = recording
        self._signals = signals
        self._wait_milliseconds = round(wait_seconds * 1000)
        self._clock = clock
        self._random = random

    def fallback_cutoff(self, now: Instant) -> Instant:
        """Return since when a job must have waited to be sent on now."""
        return now - self._wait_milliseconds

    def fallback_due(self, stored: Waiting, until: Instant) -> bool:
        """Whether a job with another model to try would wait too long by that moment."""
        job = stored.job
        since = job.created_at if job.model_since is None else job.model_since
        more = job.fallback < len(stored.fallbacks)
        return more and until - since > self._wait_milliseconds

    async def next_model(self, stored: Waiting, code: str, message: str, lease: Lease) -> bool:
        """Send a job on; False where no other model is left. What was lost to others is sent on."""
        job, fallbacks = stored.job, stored.fallbacks
        for number in range(job.fallback, len(fallbacks)):
            try:
                choice = self._catalog.choose(fallbacks[number], "fallbacks")
            except InvalidRequestError as error:  # its account was removed meanwhile
                log.warning("fallback.unknown", job=job.id, error=error.message)
                continue
            account = choice.pick(self._random)
            sent_on = fall_back(
                job,
                account=account.id,
                provider=choice.provider,
                model=choice.model,
                pinned=choice.pinned,
                given_up=number + 1,
                code=code,
                message=message,
                now=self._clock.now(),
            )
            await self._recording.record([sent_on], lease)
            log.warning("submit.fallback", job=job.id, model=choice.display_name, error=message)
            self._signals.submit.tell()
            return True
        return False
