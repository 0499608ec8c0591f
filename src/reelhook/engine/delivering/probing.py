"""Limits the probes of receivers whose breakers are open, however many there are."""

import asyncio

from reelhook.domain.event import Instant

APART_MILLISECONDS = 500
"""The time between two batches of probes; a retry that is a probe is at most 550 ms late. Few large
batches delay fewer webhooks of healthy receivers than many small ones: five batches a second met
more than one webhook in twenty. A batch is recorded with one sync of the disk."""
PROBES_AT_ONCE = 25
"""50 probes a second are enough for 15,000 open breakers, each probed every 5 minutes. They take a
tenth of a core. If more are due, those that have waited longest are sent first."""
GATHER_SECONDS = 0.1
"""The time that the result of a failed probe waits for those of its batch. Each transaction syncs
the disk, and webhooks to healthy receivers wait for that: they took 50 % longer when 33 probes a
second were recorded one by one."""


class Probing:
    """Sends probes in batches, so that webhooks to healthy receivers seldom wait for them."""

    def __init__(self) -> None:
        self._next_at: Instant | None = None
        """The time from which the next batch may be sent; None: at once."""
        self._batch = 0
        self._gathering: asyncio.Event | None = None

    def allowed(self, now: Instant) -> int:
        """Return the number of probes that may be sent now."""
        if self._next_at is not None and now < self._next_at <= now + APART_MILLISECONDS:
            return 0
        self._next_at = None
        return PROBES_AT_ONCE

    def sent(self, count: int, now: Instant) -> None:
        """Record that a batch of probes is being sent."""
        if count:
            self._batch = count
            self._next_at = now + APART_MILLISECONDS

    def seconds_left(self, now: Instant) -> float | None:
        """Return the seconds until the next batch may be sent; None: whenever a probe is due."""
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
