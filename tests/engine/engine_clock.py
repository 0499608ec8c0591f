"""Time in the test's hand."""

import asyncio
from math import ceil

START = 1_800_000_000_000
"""Where the hand of every test's clock starts, in milliseconds since the epoch."""


class ManualClock:
    """Implements `ports.Clock`: it stands still until the test moves it on."""

    def __init__(self) -> None:
        self._now = START
        self._waiting: dict[asyncio.Event, tuple[asyncio.Event, int | None]] = {}

    def now(self) -> int:
        return self._now

    def unix_seconds(self) -> float:
        return self._now / 1000

    async def wait(self, signal: asyncio.Event, seconds: float | None) -> None:
        # Rounded up, but for what floats add: nobody is woken before the time that was asked for.
        due_at = None if seconds is None else self._now + ceil(round(seconds * 1000, 3))
        if signal.is_set() or (due_at is not None and due_at <= self._now):
            await asyncio.sleep(0)
            return
        rung = asyncio.Event()
        self._waiting[rung] = (signal, due_at)
        waits = [asyncio.ensure_future(one.wait()) for one in (signal, rung)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[rung]
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def advance(self, seconds: float) -> None:
        """Move time on, and wake those whose time has come."""
        self._now += round(seconds * 1000)
        for rung, (_, due_at) in self._waiting.items():
            if due_at is not None and due_at <= self._now:
                rung.set()

    def awaits(self, signal: asyncio.Event) -> bool:
        """Whether someone waits for this signal, and has no reason yet to go on."""
        return not signal.is_set() and any(
            one is signal and not rung.is_set() for rung, (one, _) in self._waiting.items()
        )

    def wakes_in(self, seconds: float) -> bool:
        """Return True if someone waits until this many seconds from now."""
        moment = self._now + round(seconds * 1000)
        return any(due_at == moment for _, due_at in self._waiting.values())

    @property
    def next_due_at(self) -> int | None:
        """When the first of those who wait will be woken."""
        return min((due for _, due in self._waiting.values() if due is not None), default=None)
