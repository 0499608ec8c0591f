"""Pauses that a provider asks for with `Retry-After`, obeyed within reason and logged."""

import asyncio

import structlog

from reelhook.core.account_health import AccountHealth
from reelhook.domain.errors import ProviderError
from reelhook.domain.event import Instant, iso
from reelhook.ports import Clock

log = structlog.get_logger()
READS_WAIT_SECONDS_MAX = 600.0
"""The longest pause of reads: some providers delete finished files after an hour."""
REPORTED_FROM_MILLISECONDS = 10_000
"""Shorter pauses are common and not worth a log line."""


class ReadPause:
    """The pause of all reads of one account."""

    def __init__(self, account: str, health: AccountHealth, clock: Clock) -> None:
        self._account = account
        self._health = health
        self._clock = clock

    def obey(self, error: ProviderError) -> None:
        """Pause for as long as the provider asks, ten minutes at most."""
        if not error.retry_after_seconds:
            return
        now = self._clock.now()
        wait = max(self.seconds_left, min(error.retry_after_seconds, READS_WAIT_SECONDS_MAX))
        until = now + round(wait * 1000)
        self._health.read_again_at = until
        if _is_new_long_pause(self._health.reads_wait_until, until, now):
            self._health.reads_wait_until = until
            log.warning(
                "account.reads_wait",
                account=self._account,
                until=iso(until),
                asked_seconds=round(error.retry_after_seconds),
                error=error.message,
            )

    @property
    def seconds_left(self) -> float:
        """The seconds until the account may be read again."""
        left = (self._health.read_again_at - self._clock.now()) / 1000
        if left > READS_WAIT_SECONDS_MAX:  # the clock was set back
            self._health.read_again_at = 0
            return 0.0
        return max(0.0, left)

    async def wait(self) -> None:
        """Return as soon as the account may be read."""
        while (seconds := self.seconds_left) > 0:
            await self._clock.wait(asyncio.Event(), seconds)


class CreatePause:
    """The pause of all creates of one account. `reason` is the provider's message."""

    def __init__(self, account: str, health: AccountHealth, clock: Clock) -> None:
        self._account = account
        self._health = health
        self._clock = clock
        self.until: Instant = 0
        self.reason = ""

    def extend(self, seconds: float, reason: str) -> Instant:
        """Pause for this long from now on. Return the time at which this pause ends."""
        now = self._clock.now()
        until = now + round(seconds * 1000)
        self.until = max(self.until, until)
        self.reason = reason
        if _is_new_long_pause(self._health.creates_wait_until, self.until, now):
            self._health.creates_wait_until = self.until
            log.warning(
                "account.creates_wait", account=self._account, until=iso(self.until), error=reason
            )
        self._health.creates_refused(reason, now)
        return until


def _is_new_long_pause(reported: Instant | None, until: Instant, now: Instant) -> bool:
    """Return True if this is a long pause that does not continue a reported one."""
    return until - now >= REPORTED_FROM_MILLISECONDS and (reported is None or reported <= now)
