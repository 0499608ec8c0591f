"""When rounds begin: at a constant pace, unless there is more to read than an interval holds."""

import structlog

from reelhook.core.wakeups import AccountHealth
from reelhook.domain.event import Instant

log = structlog.get_logger()


class RoundTimer:
    """The rounds of one account, `interval` milliseconds apart.

    A round that is due while the one before still has pages to ask for begins when that one has
    asked for all of them. So intervals get longer where they must, and rounds don't pile up; the
    log tells when that begins and ends, and the account's health how long they are.
    """

    def __init__(self, interval: int, account: str, health: AccountHealth) -> None:
        self._interval = interval
        self._account = account
        self._health = health
        self._due: Instant = 0
        self._begun: Instant = 0
        self._waited = False

    def is_due(self, now: Instant) -> bool:
        """Whether a round is due, also where the clock was set back."""
        return not now < self._due <= now + self._interval

    def wait(self) -> None:
        """Leave the round that is due for later: the one before is not through."""
        self._waited = True

    def begin(self, now: Instant, jobs: int) -> None:
        """Begin a round over so many jobs."""
        due = min(self._due or now, now)
        self._due = due + ((now - due) // self._interval + 1) * self._interval
        stretched = (now - self._begun) / 1000 if self._waited else None
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
        self._begun, self._waited = now, False

    def seconds_left(self, now: Instant) -> float:
        """Return how long it is until the next round is due."""
        return max(0.0, (self._due - now) / 1000)
