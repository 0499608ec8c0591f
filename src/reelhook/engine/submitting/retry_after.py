"""Patience: leaving a provider alone for as long as it asks, within reason, and saying so."""

import asyncio

import structlog

from reelhook.core.wakeups import AccountHealth
from reelhook.domain.errors import ProviderError
from reelhook.domain.event import Instant, iso
from reelhook.ports import Clock

log = structlog.get_logger()
READS_WAIT_SECONDS_MAX = 600.0
"""How long a read's `Retry-After` is obeyed: finished files are gone after an hour at some."""
TOLD_FROM_MILLISECONDS = 10_000
"""Shorter waits are everyday, and not worth a line in the log."""


class ReadPause:
    """How long the reads of one account have to wait, whoever makes them."""

    def __init__(self, account: str, health: AccountHealth, clock: Clock) -> None:
        self._account = account
        self._health = health
        self._clock = clock

    def obey(self, error: ProviderError) -> None:
        """Wait from now on as long as the provider asks for, ten minutes at most."""
        if not error.retry_after_seconds:
            return
        now = self._clock.now()
        wait = max(self.seconds_left, min(error.retry_after_seconds, READS_WAIT_SECONDS_MAX))
        until = now + round(wait * 1000)
        self._health.read_again_at = until
        told = self._health.reads_wait_until
        if _worth_telling(told, until, now):
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
        """How long the account must be left alone from now on."""
        left = (self._health.read_again_at - self._clock.now()) / 1000
        if left > READS_WAIT_SECONDS_MAX:  # the clock was set back
            self._health.read_again_at = 0
            return 0.0
        return max(0.0, left)

    async def pause(self) -> None:
        """Return as soon as the account may be read."""
        while (seconds := self.seconds_left) > 0:
            await self._clock.wait(asyncio.Event(), seconds)


def tell_creates_wait(
    account: str, health: AccountHealth, until: Instant, now: Instant, reason: str
) -> None:
    """Say, once, that a provider takes no creates until then."""
    if _worth_telling(health.creates_wait_until, until, now):
        health.creates_wait_until = until
        log.warning("account.creates_wait", account=account, until=iso(until), error=reason)


def _worth_telling(told: Instant | None, until: Instant, now: Instant) -> bool:
    """Whether this is a long wait, and no part of one that was told."""
    return until - now >= TOLD_FROM_MILLISECONDS and (told is None or told <= now)
