"""Starts rounds at a constant interval, or later if a round takes longer than that."""

import structlog

from reelhook.core.account_health import AccountHealth
from reelhook.domain.event import Instant

log = structlog.get_logger()


class RoundTimer:
    """Times the rounds of one account, `interval` milliseconds apart.

    A round may be due while the last one still has pages to request. It then begins once they are
    all requested, so intervals stretch and rounds don't pile up. The log says when that begins and
    ends; the account's health has the length of the last stretched interval.
    """

    def __init__(self, interval: int, account: str, health: AccountHealth) -> None:
        self._interval = interval
        self._account = account
        self._health = health
        self._due: Instant = 0
        self._begun: Instant = 0
        self._deferred = False

    def is_due(self, now: Instant) -> bool:
        """Return True if a round is due, or if the clock was set back."""
        return not now < self._due <= now + self._interval

    def defer(self) -> None:
        """Postpone the round that is due: the last one still has pages to request."""
        self._deferred = True

    def begin(self, now: Instant, jobs: int) -> None:
        """Begin a round over this many jobs."""
        due = min(self._due or now, now)
        self._due = due + ((now - due) // self._interval + 1) * self._interval
        stretched = (now - self._begun) / 1000 if self._deferred else None
        if stretched is not None and self._health.stretched_seconds is None:
            log.warning(
                "watch.stretched",
                account=self._account,
                jobs=jobs,
                seconds=round(stretched, 1),
                wanted_seconds=self._interval / 1000,
            )
        elif stretched is None and self._health.stretched_seconds is not None:
            log.info("watch.on_pace", account=self._account, seconds=self._interval / 1000)
        self._health.stretched_seconds = stretched
        self._begun, self._deferred = now, False

    def seconds_left(self, now: Instant) -> float:
        """Return the seconds until the next round is due."""
        return max(0.0, (self._due - now) / 1000)
