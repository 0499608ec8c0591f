"""Reading many jobs of one account with the fewest requests, and handing on what comes.

By ids where the provider reads many at once, else by pages of its listing, else one by one. Where
the listing stands in between, it is learnt from its own pages: the ids seen in the last
round serve as cursors, so that the next round's pages can be fetched at once.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

import structlog

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import (
    DATABASE_FAILURES,
    CursorRefusedError,
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.event import Instant
from reelhook.domain.read_plan import PageRead, Read, SingleRead
from reelhook.domain.report import Reading, Report, Unknown, Unread
from reelhook.engine.polling.listing_order import ListingOrder
from reelhook.engine.polling.listing_scan import ListingScan, PageBatch, PageResult
from reelhook.engine.polling.read_limiter import ReadLimiter
from reelhook.ports import Clock, Reads

log = structlog.get_logger()
HANDED_ON_AT_ONCE = 500
"""Of readings that came together: what is done with them must not hold up the event loop."""
WAVES_MAX = 6
LISTING_FAILED_ROUNDS_MAX = 3
MISSES_MAX = 2
LISTING_RETRY_MILLISECONDS = 10 * 60 * 1000

NO_STATUS = Unknown("")
"""A listing that shows no status says nothing: the job is read singly."""


class ReportHandler(Protocol):
    """Takes reports as they arrive; `listed`: from the listing, not from single reads."""

    async def __call__(
        self,
        reports: Mapping[str, Report | Unread],
        *,
        listed: bool,
        poll_after_seconds: float = 0.0,
    ) -> None:
        """Take the reports of some jobs, by the provider's id."""
        ...


class Reader:
    """Reads the jobs of one account.

    Rounds may overlap, as long as they don't read the same jobs.
    """

    def __init__(
        self,
        provider: Reads,
        asking: ReadLimiter,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._asking = asking
        self._listing = ListingOrder(provider.traits.page_size_max)
        self._failed_rounds = 0
        self._listing_off_until: Instant = 0
        self._misses: Counter[str] = Counter()
        self._misses_forgotten_at: Instant = 0

    @property
    def busy(self) -> bool:
        """Whether pages wait for others to be read: more could not be read by asking for more."""
        return self._asking.busy

    @property
    def lost_listing(self) -> bool:
        """Whether jobs are read one by one since their listing can't be used now."""
        traits = self._provider.traits
        return bool(traits.page_size_max) and not traits.batch_max and not self._listing_usable()

    async def read(self, wanted: Sequence[str], deliver: ReportHandler) -> None:
        """Read the jobs, given newest first, and hand readings on as they arrive.

        What could not be read is left out: the next round asks for it again.
        """
        left = set(wanted)
        if self._provider.traits.batch_max:
            await self._read_batches(wanted, left, deliver)
        elif self._listing_usable():
            left &= await self._read_listed(wanted, left, deliver)
        if left:
            async with asyncio.TaskGroup() as group:
                for one in wanted:
                    if one in left:
                        group.create_task(self._single(one, left, deliver))

    def trim(self, watched: Collection[str]) -> None:
        """Forget what is no longer needed to find these jobs."""
        self._listing.trim(watched)

    def _listing_usable(self) -> bool:
        return self._listing.page_size > 0 and self._clock.now() >= self._listing_off_until

    # -- many by their ids --------------------------------------------------------------------

    async def _read_batches(
        self, wanted: Sequence[str], left: set[str], deliver: ReportHandler
    ) -> None:
        """Read by ids; only what no batch told stays left.

        Of those that failed nothing does, unless they alone fail, round after round.
        """
        size = self._provider.traits.batch_max
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        chunks = [chunk for chunk in chunks if len(chunk) > 1]  # one is asked for by itself
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._batch(chunk, left, deliver)) for chunk in chunks]
        if any(read.result() for read in reads):
            self._failed_rounds = 0
        elif chunks:
            failed = set().union(*chunks)
            probe = min(failed)
            if await self._fails_for_good(probe, left, deliver):
                left |= failed - {probe}

    async def _batch(self, chunk: Sequence[str], left: set[str], deliver: ReportHandler) -> bool:
        """Read a batch; return whether that worked."""
        try:
            readings = await self._asking.many(partial(self._provider.get_many, chunk))
            told = [one for one in chunk if one in readings]
            left.difference_update(told)
            for start in range(0, len(told), HANDED_ON_AT_ONCE):
                some = {one: readings[one] for one in told[start : start + HANDED_ON_AT_ONCE]}
                await _hand_on(some, deliver)
                await asyncio.sleep(0)
        except Exception as error:
            self._log_failure("watch.batch_failed", error, jobs=str(len(chunk)))
            left.difference_update(chunk)
            return False
        return True

    # -- the listing --------------------------------------------------------------------------

    async def _read_listed(
        self, wanted: Sequence[str], left: set[str], deliver: ReportHandler
    ) -> set[str]:
        """Read by pages as far as that pays; return the ids that must be read singly."""
        listed = self._listed(wanted)
        search = ListingScan(left)
        listing = self._listing
        for _ in range(WAVES_MAX):
            plan = listing.same_plan(listed) if search.fresh else None
            if plan is None:
                plan = await run_in_thread_if_large(
                    len(listed), partial(listing.plan, search, listed)
                )
            if not any(isinstance(read, PageRead) for read in plan.reads):
                break
            batch = await self._read_batch(plan.reads, left, deliver)
            if not self._listing_usable():
                return left
            await run_in_thread_if_large(len(listed), partial(listing.learn, plan, batch))
            search.take(plan.reads, batch)
            if not left:
                break
        self._misses.update(search.lost | search.displaced)
        if not search.given_up:
            return left
        if search.answered:  # the listing fails in places: these are read singly in the end
            self._misses.update(search.given_up)
        elif await self._fails_for_good(min(search.given_up), left, deliver):
            self._give_listing_up("it failed again and again, while single reads work")
            return left
        return left - search.given_up

    def _listed(self, wanted: Sequence[str]) -> Sequence[str]:
        """Leave out what the listing was twice seen without (some gateways list others)."""
        if self._clock.now() >= self._misses_forgotten_at:
            self._misses.clear()
            self._misses_forgotten_at = self._clock.now() + LISTING_RETRY_MILLISECONDS
        if not self._misses:
            return wanted
        return [one for one in wanted if self._misses[one] < MISSES_MAX]

    async def _fails_for_good(self, probe: str, left: set[str], deliver: ReportHandler) -> bool:
        """Whether reading many alone is broken: where single reads fail too, all is down."""
        self._failed_rounds += 1
        if self._failed_rounds < LISTING_FAILED_ROUNDS_MAX:
            return False
        return await self._single(probe, left, deliver)

    async def _read_batch(
        self, reads: Sequence[Read], left: set[str], deliver: ReportHandler
    ) -> PageBatch:
        """Run reads at once."""
        batch = PageBatch()

        async def page(read: PageRead) -> None:
            try:
                batch.pages[read.cursor] = await self._page(read, left, deliver)
                self._failed_rounds = 0
            except ListingUnsupportedError as error:
                self._give_listing_up(error.message)
            except CursorRefusedError:
                batch.refused.add(read.cursor)
            except Exception as error:
                self._log_failure("watch.page_failed", error, after=read.cursor)
                batch.failed.update(read.expected)

        async with asyncio.TaskGroup() as group:
            for read in reads:
                match read:
                    case PageRead():
                        group.create_task(page(read))
                    case SingleRead(provider_job_id=one):
                        group.create_task(self._single(one, left, deliver))
        return batch

    async def _page(self, read: PageRead, left: set[str], deliver: ReportHandler) -> PageResult:
        limit = self._provider.traits.page_size_max
        page = await self._asking.many(partial(self._provider.page, read.cursor, limit))
        if read.cursor is not None and not page.entries:
            # SGLang and vLLM-Omni answer an unknown cursor so.
            raise CursorRefusedError("The listing has nothing behind its cursor")
        reports = {
            entry.provider_job_id: entry.report
            for entry in page.entries
            if entry.provider_job_id in left
            and (type(entry.report) is not Unknown or entry.report != NO_STATUS)
        }
        left.difference_update(reports)
        if self._misses:
            for one in reports:
                self._misses.pop(one, None)
        await deliver(reports, listed=True)
        return PageResult.by(page, read)

    def _give_listing_up(self, reason: str) -> None:
        if self._listing_usable():
            log.warning("watch.listing_unused", provider=self._provider.name, reason=reason)
        self._listing_off_until = self._clock.now() + LISTING_RETRY_MILLISECONDS
        self._failed_rounds = 0

    # -- single reads -------------------------------------------------------------------------

    async def _single(self, one: str, left: set[str], deliver: ReportHandler) -> bool:
        """Read one job; return whether that worked. It is asked for once a round."""
        log.debug(f"Polling Sora job: {one}", emoji="📡", provider_job=one)
        left.discard(one)
        try:
            reading = await self._asking.one(partial(self._provider.get, one))
            await _hand_on({one: reading}, deliver)
        except Exception as error:
            self._log_failure("watch.read_failed", error, provider_job=one)
            await deliver({one: _unread(error)}, listed=False)
            return False
        return True

    def _log_failure(self, event: str, error: Exception, **ids: str | None) -> None:
        """Tell what went wrong with one read: it is never another's."""
        if isinstance(error, ProviderError):
            log.debug(event, error=error.message, **ids)
        elif isinstance(error, DATABASE_FAILURES):
            log.warning(event, error=error.message, **ids)  # what it said is read again
        else:
            log.error(event, exc_info=error, **ids)


def _unread(error: Exception) -> Unread:
    """Return what a failed read says of the job that was asked for.

    A provider that can't be reached, or refuses the key, says nothing of one job.
    """
    about_all = isinstance(error, ProviderUnauthorizedError)
    if not isinstance(error, ProviderError) or error.unreachable or about_all:
        return Unread()
    return Unread(error.message)


async def _hand_on(readings: Mapping[str, Reading], deliver: ReportHandler) -> None:
    """Hand readings on, together as far as the provider wishes the same wait for them."""
    by_wait: dict[float, dict[str, Report | Unread]] = {}
    for one, reading in readings.items():
        by_wait.setdefault(reading.poll_after_seconds, {})[one] = reading.report
    for wait, reports in by_wait.items():
        await deliver(reports, listed=False, poll_after_seconds=wait)
