"""Measures since when something has been going on without a break."""

from reelhook.domain.event import Instant


class OngoingSince:
    """A period in which something was seen repeatedly, at most `break_` milliseconds apart."""

    def __init__(self, break_: int) -> None:
        self._break = break_
        self._since: Instant = 0
        self._last: Instant | None = None

    def seen(self, now: Instant) -> None:
        """Note that it was seen."""
        if self._broken(now):
            self._since = now
        self._last = now

    def since(self, now: Instant) -> Instant | None:
        """Return when the present period began. None: there is none."""
        return None if self._broken(now) else self._since

    def _broken(self, now: Instant) -> bool:
        # A clock that was set back breaks it too.
        return self._last is None or not self._last <= now <= self._last + self._break
