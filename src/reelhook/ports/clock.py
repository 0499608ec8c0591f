"""Time, as an argument."""

import asyncio
from typing import Protocol

from reelhook.domain.event import Instant


class Clock(Protocol):
    """The wall clock, and waiting."""

    def now(self) -> Instant:
        """Return the wall clock, in milliseconds since the epoch."""
        ...

    async def wait(self, signal: asyncio.Event, seconds: float | None) -> None:
        """Return when the signal is set, or after `seconds` (None: only when set)."""
        ...
