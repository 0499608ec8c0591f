"""Reading many jobs of one account with the fewest requests, and handing on what comes.

Where the listing stands in between, it is learnt from its own pages: the ids seen in the last
round serve as cursors, so that the next round's pages can be fetched at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from reelhook.domain.coverage import PageRead, Read, SingleRead, cover, learn
from reelhook.domain.errors import (
    CursorRefusedError,
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.event import Instant
from reelhook.domain.report import Missing, Page, Reading
from reelhook.ports import Clock, Provider
from reelhook.signals import AccountHealth

T = TypeVar("T")
log = structlog.get_logger()
READS_AT_ONCE = 32
WAVES_MAX = 6
ORDER_MAX = 20_000
LISTING_FAILURES_MAX = 3
LISTING_RETRY_MILLISECONDS = 10 * 60 * 1000

Deliver = Callable[[Mapping[str, Reading]], Awaitable[None]]


class Reader:
    """Reads the jobs of one account.

    Rounds may overlap, as long as they don't read the same jobs.
    """

    def __init__(self, provider: Provider, health: AccountHealth, clock: Clock) -> None:
        self._provider = provider
        self._health = health
        self._clock = clock
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._order: list[str] = []
        self._page_size = provider.page_size_max
        self._listing_failures = 0
        self._listing_off_until: Instant = 0
        self._unlisted: set[str] = set()
        self._wait_until: Instant = 0

    async def read(self, wanted: Sequence[str], deliver: Deliver) -> None:
        """Read the jobs, given newest first, and hand readings on as they arrive.

        What could not be read is left out: the next round asks for it again.
        """
        left = set(wanted)
        if self._listing_usable():
            left = await self._read_listed(wanted, left, deliver)
            self._trim(wanted)
        await self._all([SingleRead(one) for one in wanted if one in left], left, deliver)

    def _listing_usable(self) -> bool:
        return self._page_size > 0 and self._clock.now() >= self._listing_off_until

    # -- the listing --------------------------------------------------------------------------

    async def _read_listed(
        self, wanted: Sequence[str], left: set[str], deliver: Deliver
    ) -> set[str]:
        """Read by pages as far as that pays; return the ids that must be read singly."""
        listed = [one for one in wanted if one not in self._unlisted]
        lost: set[str] = set()  # behind a page that failed: not for this round
        for _ in range(WAVES_MAX):
            open_ids = left - self._unlisted - lost
            known = set(self._order)
            order = [one for one in listed if one not in known] + self._order
            reads = cover(order, open_ids, self._page_size)
            if not any(isinstance(read, PageRead) for read in reads):
                break
            pages, failed = await self._wave(reads, left, deliver)
            shown = {cursor: [e.provider_job_id for e in p.entries] for cursor, p in pages.items()}
            self._order = learn(order, shown)
            gaps = open_ids & left - failed
            if failed:
                self._listing_failures += 1
                lost |= failed if self._listing_failures >= LISTING_FAILURES_MAX else set()
                if self._listing_failures >= LISTING_FAILURES_MAX and not pages:
                    self._give_listing_up("it failed again and again")
                    return left
            elif pages:
                self._listing_failures = 0
            if not self._listing_usable():
                return left
            if gaps == open_ids:  # a whole wave found none of them: they are not in this listing
                self._unlisted |= gaps
                break
        return left - lost

    async def _wave(
        self, reads: Sequence[Read], left: set[str], deliver: Deliver
    ) -> tuple[dict[str | None, Page], set[str]]:
        """Run reads at once; return the pages by cursor, and the ids behind pages that failed."""
        pages: dict[str | None, Page] = {}
        failed: set[str] = set()

        async def page(read: PageRead) -> None:
            try:
                pages[read.cursor] = await self._page(read, left, deliver)
            except ListingUnsupportedError as error:
                self._give_listing_up(error.message)
            except CursorRefusedError:
                self._order = [one for one in self._order if one != read.cursor]
            except ProviderError:
                failed.update(read.expected)

        async with asyncio.TaskGroup() as group:
            for read in reads:
                if isinstance(read, PageRead):
                    group.create_task(page(read))
                else:
                    group.create_task(self._single(read, left, deliver))
        return pages, failed

    async def _page(self, read: PageRead, left: set[str], deliver: Deliver) -> Page:
        async with self._slots:
            await self._hold()
            page = await self._asked(self._provider.page(read.cursor, self._page_size))
        if page.more and 0 < len(page.entries) < self._page_size:
            self._page_size = len(page.entries)  # the server's own limit is lower
        readings = {
            entry.provider_job_id: Reading(entry.report)
            for entry in page.entries
            if entry.provider_job_id in left
        }
        left.difference_update(readings)
        await deliver(readings)
        return page

    def _trim(self, wanted: Sequence[str]) -> None:
        """Forget what lies behind the oldest job, and everything but the jobs if it grows long."""
        asked = set(wanted)
        while self._order and self._order[-1] not in asked:
            self._order.pop()
        if len(self._order) > ORDER_MAX + 2 * len(asked):
            self._order = [one for one in self._order if one in asked]

    def _give_listing_up(self, reason: str) -> None:
        if self._listing_usable():
            log.warning("watch.listing_unused", provider=self._provider.name, reason=reason)
        self._listing_off_until = self._clock.now() + LISTING_RETRY_MILLISECONDS
        self._listing_failures = 0

    # -- single reads -------------------------------------------------------------------------

    async def _all(self, reads: Sequence[SingleRead], left: set[str], deliver: Deliver) -> None:
        async with asyncio.TaskGroup() as group:
            for read in reads:
                group.create_task(self._single(read, left, deliver))

    async def _single(self, read: SingleRead, left: set[str], deliver: Deliver) -> None:
        one = read.provider_job_id
        try:
            async with self._slots:
                await self._hold()
                reading = await self._asked(self._provider.get(one))
        except ProviderError as error:
            log.debug("watch.read_failed", provider_job=one, error=error.message)
            return
        finally:
            left.discard(one)
        if isinstance(reading.report, Missing):
            self._unlisted.discard(one)
        await deliver({one: reading})

    # -- what the provider wishes -------------------------------------------------------------

    async def _hold(self) -> None:
        """Wait as long as the provider asked us to."""
        wait = self._wait_until - self._clock.now()
        if wait > 0:
            await self._clock.wait(asyncio.Event(), wait / 1000)

    async def _asked(self, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except ProviderUnauthorizedError as error:
            if self._health.unauthorized is None:
                log.warning(
                    "account.unauthorized", provider=self._provider.name, error=error.message
                )
            self._health.unauthorized = error.message
            raise
        except ProviderError as error:
            if error.retry_after_seconds:
                until = self._clock.now() + round(error.retry_after_seconds * 1000)
                self._wait_until = max(self._wait_until, until)
            raise
        self._health.unauthorized = None
        return answer
