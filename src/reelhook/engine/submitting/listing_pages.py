"""Reads a provider's listing page by page, to look up unresolved creates."""

from collections.abc import Callable

import structlog

from reelhook.domain.errors import ListingUnsupportedError, ProviderError
from reelhook.domain.event import Instant
from reelhook.domain.report import Entry, Page
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.retry_after import ReadPause

log = structlog.get_logger()
PAGE_TRIES = 4
PAGES_MAX = 1000


class ListingPages:
    """The part of a listing that was read.

    `readable`: no entry was skipped. `supported`: the provider has a listing. With `patient` a
    provider that denies having one is asked again: proxies respond 404 or 405 while a server
    restarts. A failure is logged, unless it is the `logged` one.
    """

    def __init__(
        self, leased: LeasedAccount, pause: ReadPause, *, patient: bool, logged: str = ""
    ) -> None:
        self._leased = leased
        self._pause = pause
        self._patient = patient
        self._logged = logged
        self._after: str | None = None
        self._stuck = False
        self._pages = 0
        self.entries: dict[str, Entry] = {}
        self.place: dict[str, int] = {}
        """The index of each entry; the first has 0."""
        self.oldest_at: Instant | None = None
        """The time at which the last entry was created, if the listing shows one."""
        self.ended = False
        self.readable = True
        self.supported = True
        self.failure = ""
        """The provider's message when the listing could not be read."""

    async def read(self, enough: Callable[["ListingPages"], bool]) -> bool:
        """Read on until `enough` or the end. Return False if that failed and may work later."""
        try:
            while not self.ended and not self._stuck and self._pages < PAGES_MAX:
                await self._add(await self._page(self._after))
                if enough(self):
                    break
        except ListingUnsupportedError as error:
            if self._patient:
                self._failed("resolve.listing_gone", error)
                return False
            self.supported = self.readable = False
        except ProviderError as error:
            self._failed("resolve.listing_failed", error)
            await self._wait(error)
            return False
        return True

    def _failed(self, event: str, error: ProviderError) -> None:
        self.failure = error.message
        if error.message != self._logged:
            log.warning(event, account=self._leased.id, error=error.message)

    async def _add(self, page: Page) -> None:
        new = [e for e in page.entries if e.provider_job_id not in self.entries]
        for entry in new:
            self.place[entry.provider_job_id] = len(self.place)
            self.entries[entry.provider_job_id] = entry
        # A page without new entries shows that its cursor was ignored or not known, so the rest
        # can't be read. An entry without an id can't be read either, nor can entries that an
        # empty page says will follow.
        at_end = not page.entries and not page.more and await self._cursors_work()
        self._stuck = not new and not at_end and (self._after is not None or page.more)
        self.readable = self.readable and not self._stuck and not page.unreadable
        self.ended = not page.more and not self._stuck
        if new:
            self._after = new[-1].provider_job_id
            self.oldest_at = new[-1].created_at
        self._pages += 1

    async def _cursors_work(self) -> bool:
        """Return True if the page after the last entry but one has just the last entry.

        Servers without `has_more` end with an empty page. Some also return one for an unknown
        cursor.
        """
        *_, before, last = [None, *self.entries] if self.entries else [None, None]
        if last is None:
            return True
        page = await self._page(before) if before is not None else None
        return page is not None and [entry.provider_job_id for entry in page.entries] == [last]

    async def _page(self, after: str | None) -> Page:
        limit = self._leased.provider.traits.page_size_max
        for _ in range(PAGE_TRIES - 1):
            try:
                return await self._leased.provider.page(after, limit)
            except ListingUnsupportedError:
                raise
            except ProviderError as error:
                log.debug("resolve.page_failed", account=self._leased.id, error=error.message)
                await self._wait(error)
        return await self._leased.provider.page(after, limit)

    async def _wait(self, error: ProviderError) -> None:
        """Wait as long as the provider asks, within reason."""
        self._pause.obey(error)
        await self._pause.wait()
