"""Asking a provider: not too much at once, no sooner than it wishes, and how that goes is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from reelhook.domain.errors import ProviderError, ProviderUnauthorizedError
from reelhook.domain.event import Instant
from reelhook.ports import Clock
from reelhook.signals import AccountHealth

T = TypeVar("T")
log = structlog.get_logger()
READS_AT_ONCE = 64
"""A round over 100,000 jobs, 1,000 pages of 150 ms, then ends within half of its interval."""


class Asking:
    """The reads of one account. `asked_all` is called whenever none that reads many jobs waits."""

    def __init__(
        self, provider: str, health: AccountHealth, clock: Clock, asked_all: Callable[[], object]
    ) -> None:
        self._provider = provider
        self._health = health
        self._clock = clock
        self._asked_all = asked_all
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._wait_until: Instant = 0
        self._queued = 0

    @property
    def busy(self) -> bool:
        """Whether reads of many jobs wait for others to end: asking for more would not help."""
        return self._queued > 0

    async def one(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a single job, in its turn. Raises `ProviderError`."""
        async with self._slots:
            return await self._asked(read)

    async def many(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read many jobs with one call, in its turn. Raises `ProviderError`."""
        self._queued += 1
        async with self._slots:
            self._queued -= 1
            if not self._queued:
                self._asked_all()
            return await self._asked(read)

    async def _asked(self, read: Callable[[], Awaitable[T]]) -> T:
        wait = self._wait_until - self._clock.now()
        if wait > 0:  # as long as the provider asked us to
            await self._clock.wait(asyncio.Event(), wait / 1000)
        try:
            answer = await read()
        except ProviderUnauthorizedError as error:
            if self._health.unauthorized is None:
                log.warning("account.unauthorized", provider=self._provider, error=error.message)
            self._health.unauthorized = error.message
            raise
        except ProviderError as error:
            if error.retry_after_seconds:
                until = self._clock.now() + round(error.retry_after_seconds * 1000)
                self._wait_until = max(self._wait_until, until)
            raise
        self._health.unauthorized = None
        return answer
