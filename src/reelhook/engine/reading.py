"""Reading many jobs of one account with the fewest requests, and handing on what comes.

Where the listing stands in between, it is learnt from its own pages: the ids seen in the last
round serve as cursors, so that the next round's pages can be fetched at once.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from reelhook.domain.report import Page, Reading, Unknown
from reelhook.ports import Clock, Provider
from reelhook.signals import AccountHealth

T = TypeVar("T")
log = structlog.get_logger()
READS_AT_ONCE = 32
WAVES_MAX = 6
ORDER_MAX = 20_000
LISTING_FAILED_ROUNDS_MAX = 3
MISSES_MAX = 2
LISTING_RETRY_MILLISECONDS = 10 * 60 * 1000

NO_STATUS = Unknown("")
"""A listing that shows no status says nothing: the job is read singly."""

Deliver = Callable[[Mapping[str, Reading]], Awaitable[None]]


@dataclass(slots=True)
class Wave:
    """What came of pages that were asked for at once."""

    pages: dict[str | None, Page] = field(default_factory=dict)
    refused: set[str | None] = field(default_factory=set)
    """Cursors that the listing does not know, or has nothing behind."""
    failed: set[str] = field(default_factory=set)
    """The ids that were hoped for in pages that failed."""


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
        self._failed_rounds = 0
        self._listing_off_until: Instant = 0
        self._misses: Counter[str] = Counter()
        self._misses_forgotten_at: Instant = 0
        self._wait_until: Instant = 0

    async def read(self, wanted: Sequence[str], deliver: Deliver) -> None:
        """Read the jobs, given newest first, and hand readings on as they arrive.

        What could not be read is left out: the next round asks for it again.
        """
        left = set(wanted)
        if self._listing_usable():
            left &= await self._read_listed(wanted, left, deliver)
            self._trim(wanted)
        async with asyncio.TaskGroup() as group:
            for one in wanted:
                if one in left:
                    group.create_task(self._single(one, left, deliver))

    def _listing_usable(self) -> bool:
        return self._page_size > 0 and self._clock.now() >= self._listing_off_until

    # -- the listing --------------------------------------------------------------------------

    async def _read_listed(
        self, wanted: Sequence[str], left: set[str], deliver: Deliver
    ) -> set[str]:
        """Read by pages as far as that pays; return the ids that must be read singly."""
        listed = [one for one in wanted if not self._is_unlisted(one)]
        failed: set[str] = set()
        given_up: set[str] = set()
        answered = False
        for _ in range(WAVES_MAX):
            open_ids = left.intersection(listed) - given_up
            known = set(self._order)
            order = [one for one in listed if one not in known] + self._order
            reads = cover(order, open_ids, self._page_size)
            if not any(isinstance(read, PageRead) for read in reads):
                break
            wave = await self._wave(reads, left, deliver)
            if not self._listing_usable():
                return left
            shown = {
                cursor: [e.provider_job_id for e in p.entries] for cursor, p in wave.pages.items()
            }
            self._order = [one for one in learn(order, shown) if one not in wave.refused]
            answered = answered or bool(wave.pages)
            given_up |= wave.failed & failed  # twice is enough for one round
            failed |= wave.failed
            gaps = open_ids & left - wave.failed
            if gaps and gaps == open_ids and not wave.refused:
                self._misses.update(gaps)  # a whole wave, and none of them was in it
                break
        if given_up and not answered and await self._fails_for_good(min(given_up), left, deliver):
            self._give_listing_up("it failed again and again, while single reads work")
            return left
        return left - given_up

    def _is_unlisted(self, one: str) -> bool:
        """Whether the listing has twice been seen without this job (some gateways list others)."""
        if self._clock.now() >= self._misses_forgotten_at:
            self._misses.clear()
            self._misses_forgotten_at = self._clock.now() + LISTING_RETRY_MILLISECONDS
        return self._misses[one] >= MISSES_MAX

    async def _fails_for_good(self, probe: str, left: set[str], deliver: Deliver) -> bool:
        """Whether the listing alone is broken: where single reads fail too, all is down."""
        self._failed_rounds += 1
        if self._failed_rounds < LISTING_FAILED_ROUNDS_MAX:
            return False
        return await self._single(probe, left, deliver)

    async def _wave(self, reads: Sequence[Read], left: set[str], deliver: Deliver) -> Wave:
        """Run reads at once."""
        wave = Wave()

        async def page(read: PageRead) -> None:
            try:
                wave.pages[read.cursor] = await self._page(read, left, deliver)
                self._failed_rounds = 0
            except ListingUnsupportedError as error:
                self._give_listing_up(error.message)
            except CursorRefusedError:
                wave.refused.add(read.cursor)
            except ProviderError as error:
                log.debug("watch.page_failed", after=read.cursor, error=error.message)
                wave.failed.update(read.expected)

        async with asyncio.TaskGroup() as group:
            for read in reads:
                match read:
                    case PageRead():
                        group.create_task(page(read))
                    case SingleRead(provider_job_id=one):
                        group.create_task(self._single(one, left, deliver))
        return wave

    async def _page(self, read: PageRead, left: set[str], deliver: Deliver) -> Page:
        async with self._slots:
            await self._hold()
            page = await self._asked(self._provider.page(read.cursor, self._page_size))
        if read.cursor is not None and not page.entries:
            # SGLang and vLLM-Omni answer an unknown cursor so.
            raise CursorRefusedError("The listing has nothing behind its cursor")
        if page.more and 0 < len(page.entries) < self._page_size:
            self._page_size = len(page.entries)  # the server's own limit is lower
        readings = {
            entry.provider_job_id: Reading(entry.report)
            for entry in page.entries
            if entry.provider_job_id in left and entry.report != NO_STATUS
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
        self._failed_rounds = 0

    # -- single reads -------------------------------------------------------------------------

    async def _single(self, one: str, left: set[str], deliver: Deliver) -> bool:
        """Read one job; return whether that worked. It is asked for once a round."""
        log.debug(f"Polling Sora job: {one}", emoji="📡", provider_job=one)
        left.discard(one)
        try:
            async with self._slots:
                await self._hold()
                reading = await self._asked(self._provider.get(one))
        except ProviderError as error:
            log.debug("watch.read_failed", provider_job=one, error=error.message)
            return False
        await deliver({one: reading})
        return True

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
