"""Limits the reads of one account, and records in its health whether they work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from reelhook.core.account_health import AccountHealth
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
"""A round over 100,000 jobs (1,000 pages of 150 ms) then takes half of its interval."""


class ReadLimiter:
    """Runs the reads of one account, a limited number at a time, after any pause.

    `on_idle` is called whenever no read of many jobs waits for a slot. `trying` and `responding`
    measure how long the provider has been read, and has responded, without a break of
    `break_milliseconds`.
    """

    def __init__(
        self,
        account: str,
        health: AccountHealth,
        clock: Clock,
        on_idle: Callable[[], object],
        *,
        break_milliseconds: int,
    ) -> None:
        self._account = account
        self._health = health
        self._clock = clock
        self._on_idle = on_idle
        self._pause = ReadPause(account, health, clock)
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._queued = 0
        self.trying = OngoingSince(break_milliseconds)
        self.responding = OngoingSince(break_milliseconds)

    @property
    def busy(self) -> bool:
        """True while reads of many jobs wait for a slot: more reads would only wait too."""
        return self._queued > 0

    async def read_one(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a single job when a slot is free. Raises `ProviderError`."""
        async with self._slots:
            return await self._read(read, single=True)

    async def read_many(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read many jobs with one call when a slot is free. Raises `ProviderError`."""
        self._queued += 1
        async with self._slots:
            self._queued -= 1
            if not self._queued:
                self._on_idle()
            return await self._read(read, single=False)

    async def _read(self, read: Callable[[], Awaitable[T]], *, single: bool) -> T:
        await self._pause.wait()
        try:
            result = await read()
        except ProviderError as error:
            self._failed(error, single=single)
            raise
        self._note_contact(responded=True)
        self._health.unauthorized = None
        self._health.reads_work(self._clock.now())
        return result

    def _failed(self, error: ProviderError, *, single: bool) -> None:
        self._note_contact(responded=not error.unreachable)
        # An error about one job, from a provider that can be reached, is stored with that job.
        if not single or error.unreachable or isinstance(error, ProviderUnauthorizedError):
            self._record_failure(error)
        self._pause.obey(error)
        if isinstance(error, ProviderUnauthorizedError):
            if self._health.unauthorized is None:
                log.warning("account.unauthorized", account=self._account, error=error.message)
            self._health.unauthorized = error.message

    def _record_failure(self, error: ProviderError) -> None:
        if isinstance(error, ListingUnsupportedError | CursorRefusedError):
            return  # then the jobs are read in another way
        if self._health.reads_failed(error.message, self._clock.now()):
            log.warning("account.unread", account=self._account, response=error.message)

    def _note_contact(self, *, responded: bool) -> None:
        now = self._clock.now()
        self.trying.seen(now)
        if responded:
            self.responding.seen(now)
