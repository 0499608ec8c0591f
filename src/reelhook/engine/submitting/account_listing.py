"""Facts about a provider's listing and server, shared by the loops of one account."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from reelhook.core.wakeups import Signal
from reelhook.domain.event import Instant
from reelhook.domain.listing import ListingFacts
from reelhook.engine.leased_account import LeasedAccount
from reelhook.ports import Clock, ListingStore

NEWEST_KEPT = 5
"""The number of newest entries stored with a create. One is too few: entries may be deleted."""


class AccountListing:
    """The facts about a listing, which the store keeps, and our newest entries.

    Facts that belong to another server or another credential are discarded.
    """

    def __init__(self, store: ListingStore, leased: LeasedAccount, clock: Clock) -> None:
        self._store = store
        self._leased = leased
        self._clock = clock
        self._facts: ListingFacts | None = None
        self._newest: deque[str] | None = None
        self._reminded = False
        self.unmeasured: dict[str, tuple[str, Instant]] = {}
        """The newest entry of each model and its time of acceptance, until its delay is
        measured."""
        self.signal = Signal("listing", lambda _: None)
        """Set when there is a new entry."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the account's current server and credential."""
        return self._leased.provider.fingerprint

    async def facts(self) -> ListingFacts:
        """Return the known facts. Raises `StoreError`."""
        if self._facts is None:
            stored = await self._store.listing_facts(self._leased.id)
            if stored is None or stored.fingerprint != self.fingerprint:
                stored = ListingFacts(self.fingerprint)
            if self._facts is None:  # another loop may have been quicker
                self._facts = stored
        return self._facts

    async def learn(self, change: Callable[[ListingFacts], ListingFacts]) -> None:
        """Change the facts, and store them if they differ. Raises `StoreError`."""
        before = await self.facts()
        self._facts = after = change(before)
        if after == before:
            return
        try:
            await self._store.record_listing_facts(self._leased.id, after, self._leased.lease)
        except BaseException:
            self._facts = None  # read them again: the write may have been stored or not
            raise

    async def remind(self) -> None:
        """Give the adapter, once, the findings of an earlier process. Raises `StoreError`."""
        if not self._reminded:
            self._leased.provider.learnt = (await self.facts()).server
            self._reminded = True

    async def learn_server(self) -> None:
        """Store the adapter's findings about its server. Raises `StoreError`."""
        await self.learn(partial(replace, server=self._leased.provider.learnt))

    def created(self, provider_job_id: str, model: str) -> None:
        """Record an entry that the provider has just made for one of our creates."""
        if self._newest is not None:
            self._newest.append(provider_job_id)
        self.unmeasured[model] = (provider_job_id, self._clock.now())
        self.signal.set()

    async def newest(self) -> tuple[str, ...] | None:
        """Return entries that are in the listing now: later creates appear above them.

        Empty: the listing had no entry when it was first read. None: not known. Raises
        `StoreError`.
        """
        if self._newest is None:
            stored = await self._store.newest_entries(
                self._leased.id, self.fingerprint, NEWEST_KEPT
            )
            if self._newest is None:
                self._newest = deque(reversed(stored), NEWEST_KEPT)
        first_id = (await self.facts()).first_id
        known = (*self._newest, first_id) if first_id else tuple(self._newest)
        return known if known or first_id is not None else None
