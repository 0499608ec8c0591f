"""Evidence: reads as much of an account's listing as can prove anything about creates in doubt."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.event import Instant
from reelhook.domain.fingerprint import server_of
from reelhook.domain.listing import (
    CLOCK_SLACK_MILLISECONDS,
    EXPECTED_MILLISECONDS,
    Listing,
)
from reelhook.domain.reconciliation import given_up_at
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.listing_pages import ListingPages
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.ports import Clock, LookupStore

EXPECTED_MAX = 5000
"""The number of our newest entries, at most, that a listing must show to prove anything."""
PAST_ENTRIES = 100
"""The number of entries to read past the newest one that is known to be older."""
UNREAD_MILLISECONDS_MIN = 30_000
"""The time for which this process fails to read a listing before it gives up."""
SHOWN_AFTER_MILLISECONDS = 2000
"""The age from which a listing must show an entry, if the listing's delay was not measured."""


class Evidence:
    """Reads the listing of one account.

    `unread_since` is the start of the first of the reads in a row that failed; None: the last one
    worked. `unread_reason` says why the last one failed.
    """

    def __init__(
        self,
        store: LookupStore,
        leased: LeasedAccount,
        listing: AccountListing,
        *,
        settle_milliseconds: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._listing = listing
        self._settle_milliseconds = settle_milliseconds
        self._clock = clock
        self._pause = ReadPause(leased.id, leased.health, clock)
        self.unread_since: Instant | None = None
        self.unread_reason = ""

    @property
    def is_given_up(self) -> bool:
        """True if the listing could not be read for so long that doubts may end without it."""
        since = self.unread_since
        return since is not None and self._clock.now() - since >= UNREAD_MILLISECONDS_MIN

    async def read_in_time(self, in_doubt: Sequence[Doubt]) -> Listing | None:
        """Read the listing. Return None if that failed, or takes longer than a doubt may last."""
        now = self._clock.now()
        if self.unread_since is None:
            self.unread_since, self.unread_reason = now, ""
        given_up = min(given_up_at(doubt, self._settle_milliseconds) for doubt in in_doubt)
        end = max(given_up, self.unread_since + UNREAD_MILLISECONDS_MIN, now + 1000)
        read = asyncio.create_task(self._read(in_doubt, now))
        alarm = asyncio.create_task(self._clock.wait(asyncio.Event(), (end - now) / 1000))
        try:
            await asyncio.wait([read, alarm], return_when=asyncio.FIRST_COMPLETED)
            if not read.done():
                self.unread_reason = "reading it takes too long, or has to wait"
                return None
            if (listing := read.result()) is not None:
                self.unread_since = None
            return listing
        finally:
            for task in (read, alarm):
                task.cancel()
            await asyncio.gather(read, alarm, return_exceptions=True)

    async def _read(self, in_doubt: Sequence[Doubt], now: Instant) -> Listing | None:
        """Read as much of the listing as can prove anything.

        Return None if that failed and may work later.
        """
        facts = await self._listing.facts()
        patient = facts.models and any(
            now - doubt.since < 2 * self._settle_milliseconds for doubt in in_doubt
        )
        pages = ListingPages(
            self._leased, self._pause, patient=bool(patient), logged=self.unread_reason
        )
        if not await pages.read(partial(_reached, in_doubt)):
            self.unread_reason = pages.failure
            return None
        listing = await self._listing_of(pages, now)
        if pages.supported and not pages.ended and not listing.ordered:
            if not await pages.read(lambda _: False):
                self.unread_reason = pages.failure
                return None
            listing = await self._listing_of(pages, now)
        return listing

    async def _listing_of(self, pages: ListingPages, read_at: Instant) -> Listing:
        return Listing(
            tuple(pages.entries.values()),
            ended=pages.ended,
            readable=pages.readable,
            supported=pages.supported,
            read_at=read_at,
            facts=await self._listing.facts(),
            known=await self._known(list(pages.entries)),
        )

    async def completed(self, listing: Listing, in_doubt: Sequence[Doubt]) -> Listing:
        """Return the listing with our jobs as they are now: paid calls may have ended since."""
        known = await self._known(list(listing.place))
        created = {entry.request.model for entry in known.values() if entry.created}
        await self._listing.learn(lambda facts: facts.with_model(*created))
        return replace(
            listing,
            known=known,
            facts=await self._listing.facts(),
            expected=await self._expected(in_doubt, listing),
        )

    async def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        server = server_of(self._listing.fingerprint)
        return await self._store.known_entries(self._leased.accounts, server, ids)

    async def _expected(self, in_doubt: Sequence[Doubt], listing: Listing) -> dict[str, Instant]:
        since = min(doubt.sent_at for doubt in in_doubt) - EXPECTED_MILLISECONDS
        delay = 2 * (listing.facts.delay_max or 0)
        until = listing.read_at - max(delay, SHOWN_AFTER_MILLISECONDS)
        return await self._store.expected_entries(
            self._leased.id, self._listing.fingerprint, since, until, EXPECTED_MAX
        )


def _reached(in_doubt: Sequence[Doubt], pages: ListingPages) -> bool:
    """Return True if the listing was read past an entry that is older than all those in doubt.

    One more page is read, because a wrong order would show there. A create without a known older
    entry can only be found, not proven absent, so it is looked for by time.
    """
    place, oldest = pages.place, pages.oldest_at
    for doubt in in_doubt:
        if doubt.after is None and oldest is not None:
            if oldest >= doubt.sent_at - 5 * CLOCK_SLACK_MILLISECONDS:
                return False
            continue
        anchors = [place[entry_id] for entry_id in doubt.after or () if entry_id in place]
        if not anchors or len(place) - min(anchors) < PAST_ENTRIES:
            return False
    return True
