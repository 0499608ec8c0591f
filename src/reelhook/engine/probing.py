"""How often receivers whose breakers are open are asked, however many of them there are."""

from reelhook.domain.event import Instant
from reelhook.ports import PROBES_READ

PROBES_PER_SECOND = 100
"""With probes 5 minutes apart that is enough for 30,000 open breakers. Each costs some 2 ms of the
loop that sends everything else."""
PROBES_AT_ONCE = PROBES_READ // 2
"""How many may go after a quiet while. When those are spent, more are looked for only in batches:
a look for one costs as much as a look for many."""
BATCH = PROBES_PER_SECOND // 4


class Probing:
    """Counts what may be probed now: when very many breakers are open, probes wait their turn."""

    def __init__(self) -> None:
        self._left = float(PROBES_AT_ONCE)
        self._counted_at: Instant | None = None
        self._waiting = False
        """Whether more were due than could go."""

    def allowed(self, now: Instant) -> int:
        """Return how many probes may go now, 0..PROBES_AT_ONCE."""
        before = now if self._counted_at is None else self._counted_at
        grown = max(0, now - before) * PROBES_PER_SECOND / 1000
        self._left = min(PROBES_AT_ONCE, self._left + grown)
        self._counted_at = now
        return int(self._left) if self._left >= self._wanted else 0

    def spend(self, probes: int, allowed: int) -> None:
        """Count those that were found, where so many had been allowed."""
        self._left -= probes
        if allowed:
            self._waiting = probes >= allowed

    def seconds_left(self) -> float | None:
        """Return how long it is until more may go, or None where they may go already."""
        short = self._wanted - self._left
        return short / PROBES_PER_SECOND if short > 0 else None

    @property
    def _wanted(self) -> int:
        return BATCH if self._waiting else 1
