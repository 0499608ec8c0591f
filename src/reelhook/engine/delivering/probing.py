"""Limits the probes of receivers whose breakers are open, however many there are."""

import asyncio

from reelhook.core.wakeups import WebhookTraffic
from reelhook.domain.event import Instant

APART_MILLISECONDS = 260
"""The time between two reads of due probes; a retry that is a probe is at most 550 ms late."""
PROBES_AT_ONCE = 13
"""50 probes a second are enough for 15,000 open breakers, each probed every 5 minutes. They take a
tenth of a core. If more are due, those that have waited longest are sent first."""
PROBE_SECONDS = 0.01
"""The time between two probes. A probe takes one to two milliseconds of the event loop. A webhook
to a healthy receiver that meets one waits for that one only: those of a batch sent at once took 40
ms. The probes of one read are sent before the next read."""
CALM_SECONDS = 0.015
"""The time without work for a webhook to a healthy receiver after which probes go on."""
DEFERRED_SECONDS_MAX = 0.1
"""The time for which webhooks to healthy receivers may hold up the probes of one read."""
GATHER_SECONDS = 0.25
"""The time that the result of a failed probe waits for others. Each transaction syncs the disk, and
webhooks to healthy receivers wait for that: they took 50 % longer when 33 probes a second were
recorded one by one."""


class Probing:
    """Paces probes, so that webhooks to healthy receivers don't wait for them."""

    def __init__(self, traffic: WebhookTraffic) -> None:
        self._traffic = traffic
        self._next_at: Instant | None = None
        """The time from which probes may be read again; None: at once."""
        self._batch = 0
        self._gathering: asyncio.Event | None = None
        self._turn = asyncio.Lock()
        self._put_off = False
        self._released: asyncio.Task[None] | None = None

    def deadline(self) -> float:
        """Return the time of the event loop until which a batch that begins now may take."""
        planned = PROBES_AT_ONCE * PROBE_SECONDS
        return asyncio.get_running_loop().time() + planned + DEFERRED_SECONDS_MAX

    async def calm(self, deadline: float) -> None:
        """Wait while webhooks go to healthy receivers, but not after the deadline."""
        now = asyncio.get_running_loop().time
        # Each webhook moves the time to wait for, so there is no event of it.
        while now() < deadline and (wait := CALM_SECONDS - self._traffic.quiet_seconds) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait)

    def allowed(self, now: Instant) -> int:
        """Return the number of probes that may be read now."""
        if self._next_at is not None and now < self._next_at <= now + APART_MILLISECONDS:
            return 0
        self._next_at = None
        return PROBES_AT_ONCE

    @property
    def alone(self) -> bool:
        """True if probes may be read only if no other delivery is due. They are put off once."""
        return not self._put_off

    def put_off(self) -> None:
        """Record that probes were not read, because other deliveries were due."""
        self._put_off = True

    def sent(self, count: int, now: Instant) -> None:
        """Record that a batch of probes was read, and is being sent."""
        if count:
            self._batch = count
            self._put_off = False
            self._next_at = now + APART_MILLISECONDS

    @property
    def reads_soon(self) -> bool:
        """True if probes are read again soon, whether or not anything wakes the loop."""
        return self._next_at is not None

    def seconds_left(self, now: Instant) -> float | None:
        """Return the seconds until probes may be read again; None: whenever one is due."""
        return None if self._next_at is None else max(0.0, (self._next_at - now) / 1000)

    async def gather(self) -> None:
        """Wait until the failures of several probes can be recorded in one transaction."""
        if self._batch < 2:
            return
        if self._gathering is None:
            self._gathering = asyncio.Event()
            self._released = asyncio.create_task(self._release(self._gathering))
        await self._gathering.wait()

    async def _release(self, gathering: asyncio.Event) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        await self.calm(asyncio.get_running_loop().time() + DEFERRED_SECONDS_MAX)
        self._gathering = None
        gathering.set()

    async def turn(self) -> None:
        """Wait for one's turn among probes that were recorded together.

        One continues in each iteration of the event loop, which serves others in between.
        """
        async with self._turn:
            await asyncio.sleep(0)
