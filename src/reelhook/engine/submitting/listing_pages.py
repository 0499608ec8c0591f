"""Reading a provider's listing page by page, to look up what is unresolved."""

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
    """A listing as far as it was read.

    `readable`: nothing was passed over. `supported`: there is a listing at all. Where `patient`, a
    provider that says there is none is asked again: proxies answer 404 or 405 while a server
    restarts.
    """

    def __init__(self, held: LeasedAccount, patience: ReadPause, *, patient: bool) -> None:
        self._held = held
        self._patience = patience
        self._patient = patient
        self._after: str | None = None
        self._lost = False
        self._pages = 0
        self.entries: dict[str, Entry] = {}
        self.place: dict[str, int] = {}
        """The index of each entry; 0 is the first one."""
        self.oldest_at: Instant | None = None
        """When the last entry was made, if it shows that."""
        self.ended = False
        self.readable = True
        self.supported = True
        self.failure = ""
        """Why it could not be read, in the provider's words."""

    async def read(self, enough: Callable[["ListingPages"], bool]) -> bool:
        """Read on until it is enough, or ends; False where that failed and may work later."""
        try:
            while not self.ended and not self._lost and self._pages < PAGES_MAX:
                await self._take(await self._page(self._after))
                if enough(self):
                    break
        except ListingUnsupportedError as error:
            if self._patient:
                log.warning("resolve.listing_gone", account=self._held.id, error=error.message)
                self.failure = error.message
                return False
            self.supported = self.readable = False
        except ProviderError as error:
            log.warning("resolve.listing_failed", account=self._held.id, error=error.message)
            self.failure = error.message
            await self._hold(error)
            return False
        return True

    async def _take(self, page: Page) -> None:
        fresh = [e for e in page.entries if e.provider_job_id not in self.entries]
        for entry in fresh:
            self.place[entry.provider_job_id] = len(self.place)
            self.entries[entry.provider_job_id] = entry
        # Nothing new after a cursor: it was ignored, or not known. What may follow can't be seen
        # then. Neither can an entry without an id, or what a page without any entry claims to
        # follow.
        at_end = not page.entries and not page.more and await self._cursors_work()
        self._lost = not fresh and not at_end and (self._after is not None or page.more)
        self.readable = self.readable and not self._lost and not page.unreadable
        self.ended = not page.more and not self._lost
        if fresh:
            self._after = fresh[-1].provider_job_id
            self.oldest_at = fresh[-1].created_at
        self._pages += 1

    async def _cursors_work(self) -> bool:
        """Whether the cursor before the last one brings the last entry, and nothing else.

        Servers without `has_more` end with an empty page, and some answer one to an unknown cursor.
        """
        *_, before, last = [None, *self.entries] if self.entries else [None, None]
        if last is None:
            return True
        page = await self._page(before) if before is not None else None
        return page is not None and [one.provider_job_id for one in page.entries] == [last]

    async def _page(self, after: str | None) -> Page:
        limit = self._held.provider.traits.page_size_max
        for _ in range(PAGE_TRIES - 1):
            try:
                return await self._held.provider.page(after, limit)
            except ListingUnsupportedError:
                raise
            except ProviderError as error:
                log.debug("resolve.page_failed", account=self._held.id, error=error.message)
                await self._hold(error)
        return await self._held.provider.page(after, limit)

    async def _hold(self, error: ProviderError) -> None:
        """Wait as long as the provider asked us to, within reason."""
        self._patience.obey(error)
        await self._patience.pause()
