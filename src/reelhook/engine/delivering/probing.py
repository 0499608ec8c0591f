"""How often receivers whose breakers are open are asked, however many of them there are."""

import asyncio

from reelhook.domain.event import Instant

APART_MILLISECONDS = 200
"""Retries that are probes go at most 250 ms after they are due. What goes together is recorded
together: one sync of the disk for all of it."""
PROBES_AT_ONCE = 10
"""50 a second: with probes 5 minutes apart enough for 15,000 open breakers, and a tenth of a core.
Where more are due they take their turn, those first that have waited longest."""
GATHER_SECONDS = 0.1
"""How long the result of a failed probe waits for those of its batch. Each transaction syncs the
disk, and what healthy receivers are to get waits for that: with 33 probes a second, each recorded
by itself, it took half as long again."""


class Probing:
    """Lets probes go in batches, so that what is sent to healthy receivers seldom meets them."""

    def __init__(self) -> None:
        self._next_at: Instant | None = None
        """When the next batch may go; None: at once."""
        self._batch = 0
        self._gathering: asyncio.Event | None = None

    def allowed(self, now: Instant) -> int:
        """Return how many probes may go now."""
        if self._next_at is not None and now < self._next_at <= now + APART_MILLISECONDS:
            return 0
        self._next_at = None
        return PROBES_AT_ONCE

    def sent(self, count: int, now: Instant) -> None:
        """Take note of a batch that goes."""
        if count:
            self._batch = count
            self._next_at = now + APART_MILLISECONDS

    def seconds_left(self, now: Instant) -> float | None:
        """Return when to look for the next batch; None: when a probe is due."""
        return None if self._next_at is None else max(0.0, (self._next_at - now) / 1000)

    async def gather(self) -> None:
        """Wait until the failures of several probes can be recorded in one transaction."""
        if self._batch < 2:
            return
        if self._gathering is None:
            self._gathering = asyncio.Event()
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._release, self._gathering)
        await self._gathering.wait()

    def _release(self, gathering: asyncio.Event) -> None:
        self._gathering = None
        gathering.set()
