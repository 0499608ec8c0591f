"""The times that writes take, to notice a database that confirms them late."""

import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

from reelhook.ports import SlowWrites

T = TypeVar("T")
SLOW_SECONDS = 1.0
"""The time from which a write is slow: rounds and webhooks are late by then."""
REMEMBERED_SECONDS = 10.0
"""The time for which a slow write is remembered, if no other follows."""


class WriteTimes:
    """Times the writes of one process. `now` returns the seconds of a steady clock."""

    def __init__(
        self, slow_seconds: float = SLOW_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._slow_seconds = slow_seconds
        self._now = now
        self._numbers = count()
        self._begun: dict[int, float] = {}
        self._since: float | None = None
        self._last = 0.0
        self._longest = 0.0

    async def timed(self, write: Awaitable[T]) -> T:
        """Wait for a write."""
        number, begun = next(self._numbers), self._now()
        self._begun[number] = begun
        try:
            return await write
        finally:
            del self._begun[number]
            self._note(begun, self._now())

    @property
    def slow(self) -> SlowWrites | None:
        """The slow writes, if there was one in the last seconds or one waits now."""
        now = self._now()
        oldest = next(iter(self._begun.values()), now)
        if now - oldest >= self._slow_seconds:
            self._note(oldest, now)
        if self._since is None or now - self._last >= REMEMBERED_SECONDS:
            return None
        return SlowWrites(now - self._since, self._longest)

    def _note(self, begun: float, now: float) -> None:
        if now - begun < self._slow_seconds:
            return
        if self._since is None or begun - self._last >= REMEMBERED_SECONDS:
            self._since, self._longest = begun, 0.0
        self._last = now
        self._longest = max(self._longest, now - begun)
