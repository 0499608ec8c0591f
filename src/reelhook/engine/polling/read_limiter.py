"""Asking a provider: not too much at once, no sooner than it wishes, and how that goes is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from reelhook.core.wakeups import AccountHealth
from reelhook.domain.errors import (
    CursorRefusedError,
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.engine.duration import OngoingSince
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.ports import Clock

T = TypeVar("T")
log = structlog.get_logger()
READS_AT_ONCE = 64
"""A round over 100,000 jobs, 1,000 pages of 150 ms, then ends within half of its interval."""


class ReadLimiter:
    """The reads of one account. `asked_all` is called whenever none that reads many jobs waits.

    `tried` and `answered` tell since when the provider has been asked, and has answered, without
    a break of `break_milliseconds`.
    """

    def __init__(
        self,
        account: str,
        health: AccountHealth,
        clock: Clock,
        asked_all: Callable[[], object],
        *,
        break_milliseconds: int,
    ) -> None:
        self._account = account
        self._health = health
        self._clock = clock
        self._asked_all = asked_all
        self._patience = ReadPause(account, health, clock)
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._queued = 0
        self.tried = OngoingSince(break_milliseconds)
        self.answered = OngoingSince(break_milliseconds)

    @property
    def busy(self) -> bool:
        """Whether reads of many jobs wait for others to end: asking for more would not help."""
        return self._queued > 0

    async def one(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a single job, in its turn. Raises `ProviderError`."""
        async with self._slots:
            return await self._asked(read, one=True)

    async def many(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read many jobs with one call, in its turn. Raises `ProviderError`."""
        self._queued += 1
        async with self._slots:
            self._queued -= 1
            if not self._queued:
                self._asked_all()
            return await self._asked(read, one=False)

    async def _asked(self, read: Callable[[], Awaitable[T]], *, one: bool) -> T:
        await self._patience.pause()
        try:
            answer = await read()
        except ProviderError as error:
            self._failed(error, one=one)
            raise
        self._seen(answered=True)
        self._health.unauthorized = None
        self._health.reads_work(self._clock.now())
        return answer

    def _failed(self, error: ProviderError, *, one: bool) -> None:
        self._seen(answered=not error.unreachable)
        # What is said of one job, by a provider that can be reached, is kept with that job.
        if not one or error.unreachable or isinstance(error, ProviderUnauthorizedError):
            self._not_read(error)
        self._patience.obey(error)
        if isinstance(error, ProviderUnauthorizedError):
            if self._health.unauthorized is None:
                log.warning("account.unauthorized", account=self._account, error=error.message)
            self._health.unauthorized = error.message

    def _not_read(self, error: ProviderError) -> None:
        if isinstance(error, ListingUnsupportedError | CursorRefusedError):
            return  # the jobs are read in another way
        if self._health.reads_failed(error.message, self._clock.now()):
            log.warning("account.unread", account=self._account, response=error.message)

    def _seen(self, *, answered: bool) -> None:
        now = self._clock.now()
        self.tried.seen(now)
        if answered:
            self.answered.seen(now)
