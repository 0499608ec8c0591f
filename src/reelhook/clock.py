"""The system's clock; no other module reads it."""

import asyncio
import time

from reelhook.domain.event import Instant


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> Instant:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    async def wait(self, signal: asyncio.Event, seconds: float | None) -> None:
        """Return when the signal is set, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await signal.wait()
        except TimeoutError:
            pass
