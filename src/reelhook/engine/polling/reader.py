"""Reads many jobs of one account with the fewest requests, and passes their reports on.

Jobs are read by ids if the provider can read many at once, otherwise by pages of its listing,
otherwise one by one. The order of the listing is learnt from its pages: ids seen in the last
round serve as cursors, so that all pages of the next round can be requested at once.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

import structlog

from reelhook.core.facts import Emit, JobPolled
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
REPORTS_AT_ONCE = 500
"""The most reports that are passed on together: handling more would block the event loop."""
BATCHES_MAX = 6
LISTING_FAILED_ROUNDS_MAX = 3
MISSES_MAX = 2
LISTING_RETRY_MILLISECONDS = 10 * 60 * 1000

NO_STATUS = Unknown("")
"""The report of a listing that shows no status. The job is then read by itself."""


class ReportHandler(Protocol):
    """Handles reports as they arrive. `listed` is True if they come from the listing."""

    async def __call__(
        self,
        reports: Mapping[str, Report | Unread],
        *,
        listed: bool,
        poll_after_seconds: float = 0.0,
    ) -> None:
        """Handle the reports of some jobs, by the provider's ids."""
        ...


class Reader:
    """Reads the jobs of one account.

    Rounds may overlap if they read different jobs.
    """

    def __init__(
        self,
        provider: Reads,
        limiter: ReadLimiter,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._limiter = limiter
        self._emit = emit
        self._listing = ListingOrder(provider.traits.page_size_max)
        self._failed_rounds = 0
        self._listing_off_until: Instant = 0
        self._misses: Counter[str] = Counter()
        self._misses_forgotten_at: Instant = 0

    @property
    def busy(self) -> bool:
        """True while pages wait for a slot: a further round would only wait too."""
        return self._limiter.busy

    @property
    def lost_listing(self) -> bool:
        """True if jobs are read one by one because their listing can't be used now."""
        traits = self._provider.traits
        return bool(traits.page_size_max) and not traits.batch_max and not self._listing_usable()

    async def read(self, wanted: Sequence[str], on_reports: ReportHandler) -> None:
        """Read these jobs, newest first, and pass their reports on as they arrive.

        A job that can't be read is left out. The next round reads it again.
        """
        left = set(wanted)
        if self._provider.traits.batch_max:
            await self._read_batches(wanted, left, on_reports)
        elif self._listing_usable():
            left &= await self._read_listed(wanted, left, on_reports)
        if left:
            async with asyncio.TaskGroup() as group:
                for job_id in wanted:
                    if job_id in left:
                        group.create_task(self._single(job_id, left, on_reports))

    def trim(self, watched: Collection[str]) -> None:
        """Forget all that is not needed to find these jobs."""
        self._listing.trim(watched)

    def _listing_usable(self) -> bool:
        return self._listing.page_size > 0 and self._clock.now() >= self._listing_off_until

    # -- many by their ids --------------------------------------------------------------------

    async def _read_batches(
        self, wanted: Sequence[str], left: set[str], on_reports: ReportHandler
    ) -> None:
        """Read by ids. Jobs that no batch reported stay in `left`.

        Jobs of failed batches don't, unless only batches fail, round after round.
        """
        size = self._provider.traits.batch_max
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        chunks = [chunk for chunk in chunks if len(chunk) > 1]  # a single job is read by itself
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._batch(chunk, left, on_reports)) for chunk in chunks]
        if any(read.result() for read in reads):
            self._failed_rounds = 0
        elif chunks:
            failed = set().union(*chunks)
            probe = min(failed)
            if await self._fails_for_good(probe, left, on_reports):
                left |= failed - {probe}

    async def _batch(self, chunk: Sequence[str], left: set[str], on_reports: ReportHandler) -> bool:
        """Read a batch. Return True if that worked."""
        try:
            readings = await self._limiter.read_many(partial(self._provider.get_many, chunk))
            found = [job_id for job_id in chunk if job_id in readings]
            left.difference_update(found)
            for start in range(0, len(found), REPORTS_AT_ONCE):
                part = found[start : start + REPORTS_AT_ONCE]
                await _pass_on({job_id: readings[job_id] for job_id in part}, on_reports)
                await asyncio.sleep(0)
        except Exception as error:
            self._log_failure("watch.batch_failed", error, jobs=str(len(chunk)))
            left.difference_update(chunk)
            return False
        return True

    # -- the listing --------------------------------------------------------------------------

    async def _read_listed(
        self, wanted: Sequence[str], left: set[str], on_reports: ReportHandler
    ) -> set[str]:
        """Read by pages while that saves requests. Return the ids that must be read singly."""
        listed = self._listed(wanted)
        scan = ListingScan(left)
        listing = self._listing
        for _ in range(BATCHES_MAX):
            plan = listing.same_plan(listed) if scan.first_batch else None
            if plan is None:
                plan = await run_in_thread_if_large(
                    len(listed), partial(listing.plan, scan, listed)
                )
            if not any(isinstance(read, PageRead) for read in plan.reads):
                break
            batch = await self._read_batch(plan.reads, left, on_reports)
            if not self._listing_usable():
                return left
            await run_in_thread_if_large(len(listed), partial(listing.learn, plan, batch))
            scan.add(plan.reads, batch)
            if not left:
                break
        self._misses.update(scan.unlisted | scan.displaced)
        if not scan.given_up:
            return left
        if scan.responded:  # only parts of the listing fail: their jobs are read singly
            self._misses.update(scan.given_up)
        elif await self._fails_for_good(min(scan.given_up), left, on_reports):
            self._stop_using_listing("it failed several times in a row, while single reads work")
            return left
        return left - scan.given_up

    def _listed(self, wanted: Sequence[str]) -> Sequence[str]:
        """Return the jobs that the listing may show. Some gateways never list some of them."""
        if self._clock.now() >= self._misses_forgotten_at:
            self._misses.clear()
            self._misses_forgotten_at = self._clock.now() + LISTING_RETRY_MILLISECONDS
        if not self._misses:
            return wanted
        return [job_id for job_id in wanted if self._misses[job_id] < MISSES_MAX]

    async def _fails_for_good(self, probe: str, left: set[str], on_reports: ReportHandler) -> bool:
        """Return True if only reads of many jobs fail. If single ones fail too, all is down."""
        self._failed_rounds += 1
        if self._failed_rounds < LISTING_FAILED_ROUNDS_MAX:
            return False
        return await self._single(probe, left, on_reports)

    async def _read_batch(
        self, reads: Sequence[Read], left: set[str], on_reports: ReportHandler
    ) -> PageBatch:
        """Run reads concurrently."""
        batch = PageBatch()

        async def page(read: PageRead) -> None:
            try:
                batch.pages[read.cursor] = await self._page(read, left, on_reports)
                self._failed_rounds = 0
            except ListingUnsupportedError as error:
                self._stop_using_listing(error.message)
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
                    case SingleRead(provider_job_id=job_id):
                        group.create_task(self._single(job_id, left, on_reports))
        return batch

    async def _page(self, read: PageRead, left: set[str], on_reports: ReportHandler) -> PageResult:
        limit = self._provider.traits.page_size_max
        page = await self._limiter.read_many(partial(self._provider.page, read.cursor, limit))
        if read.cursor is not None and not page.entries:
            # SGLang and vLLM-Omni respond to an unknown cursor in this way.
            raise CursorRefusedError("The listing has nothing after this cursor")
        reports = {
            entry.provider_job_id: entry.report
            for entry in page.entries
            if entry.provider_job_id in left
            and (type(entry.report) is not Unknown or entry.report != NO_STATUS)
        }
        left.difference_update(reports)
        if self._misses:
            for job_id in reports:
                self._misses.pop(job_id, None)
        await on_reports(reports, listed=True)
        return PageResult.of(page, read)

    def _stop_using_listing(self, reason: str) -> None:
        if self._listing_usable():
            log.warning("watch.listing_unused", provider=self._provider.name, reason=reason)
        self._listing_off_until = self._clock.now() + LISTING_RETRY_MILLISECONDS
        self._failed_rounds = 0

    # -- single reads -------------------------------------------------------------------------

    async def _single(self, job_id: str, left: set[str], on_reports: ReportHandler) -> bool:
        """Read one job, given by the provider's id, once a round. Return True if that worked."""
        self._emit(JobPolled(job_id))
        left.discard(job_id)
        try:
            reading = await self._limiter.read_one(partial(self._provider.get, job_id))
            await _pass_on({job_id: reading}, on_reports)
        except Exception as error:
            self._log_failure("watch.read_failed", error, provider_job=job_id)
            await on_reports({job_id: _unread(error)}, listed=False)
            return False
        return True

    def _log_failure(self, event: str, error: Exception, **ids: str | None) -> None:
        """Log the failure of one read, which never makes another one fail."""
        if isinstance(error, ProviderError):
            log.debug(event, error=error.message, **ids)
        elif isinstance(error, DATABASE_FAILURES):
            log.warning(event, error=error.message, **ids)  # the next round reads the report again
        else:
            log.error(event, exc_info=error, **ids)


def _unread(error: Exception) -> Unread:
    """Return the report of a failed read.

    A provider that can't be reached, or refuses the key, says nothing about a single job.
    """
    about_all = isinstance(error, ProviderUnauthorizedError)
    if not isinstance(error, ProviderError) or error.unreachable or about_all:
        return Unread()
    return Unread(error.message)


async def _pass_on(readings: Mapping[str, Reading], on_reports: ReportHandler) -> None:
    """Pass readings on, grouped by the wait that the provider asks for."""
    by_wait: dict[float, dict[str, Report | Unread]] = {}
    for job_id, reading in readings.items():
        by_wait.setdefault(reading.poll_after_seconds, {})[job_id] = reading.report
    for wait, reports in by_wait.items():
        await on_reports(reports, listed=False, poll_after_seconds=wait)
