"""Measures how long something has been going on without a break."""

from reelhook.domain.event import Instant


class OngoingSince:
    """A period of repeated sightings, each at most `break_` milliseconds after the one before."""

    def __init__(self, break_: int) -> None:
        self._break = break_
        self._since: Instant = 0
        self._last: Instant | None = None

    def seen(self, now: Instant) -> None:
        """Record a sighting."""
        if self._broken(now):
            self._since = now
        self._last = now

    def since(self, now: Instant) -> Instant | None:
        """Return the start of the current period, or None if there is none."""
        return None if self._broken(now) else self._since

    def _broken(self, now: Instant) -> bool:
        # A clock that was set back also ends the period.
        return self._last is None or not self._last <= now <= self._last + self._break
