"""Measuring how soon a provider's listing shows what we created.

A create without a response is looked for in the listing. That it is not there means nothing before
the listing has had the time that it needs; so this time is measured, with entries that we know.
"""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.errors import ListingUnsupportedError, ProviderError
from reelhook.domain.event import Instant
from reelhook.domain.report import Page
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.ports import Clock

log = structlog.get_logger()
SAMPLE_MILLISECONDS = 30_000
"""How long after a measurement the next one of a model that was measured before begins."""
AGAIN_SECONDS_MIN, AGAIN_SECONDS_MAX = 0.25, 30.0
LATE_MILLISECONDS = 5_000
"""An entry that nobody looked for within this time of its acceptance shows no delay."""
GIVEN_UP_MILLISECONDS = 10 * 60 * 1000
FAILED_SECONDS = 30.0
UNSUPPORTED_SECONDS = 600.0


class ListingDelay:
    """Reads the top of one account's listing: once when it is new to us, then after creates."""

    name = "listing"

    def __init__(
        self, held: LeasedAccount, listing: AccountListing, signals: Signals, clock: Clock
    ) -> None:
        self._held = held
        self._listing = listing
        self._signals = signals
        self._patience = ReadPause(held.id, signals.account(held.id), clock)
        self._clock = clock
        self._target: tuple[str, str, Instant] | None = None
        self._next_at: Instant = 0
        self._not_before: Instant = 0
        self._seen: set[str] = set()
        self.signal = listing.signal
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Read the top of the listing if there is something to learn; see `Loop`."""
        page_size = self._held.provider.traits.page_size_max
        now = self._clock.now()
        if not page_size or self._signals.watching_paused:
            return None
        wait = max((self._not_before - now) / 1000, self._patience.seconds_left)
        if wait > 0:
            return wait
        facts = await self._listing.facts()
        if self._target is None:
            self._target = await self._next_target(now)
        if self._target is None and facts.first_id is not None:
            return None
        try:
            page = await self._held.provider.page(None, page_size)
        except ProviderError as error:
            log.debug("listing.unread", account=self._held.id, error=error.message)
            self._target = None  # the gap would count as a delay
            unsupported = isinstance(error, ListingUnsupportedError)
            usual = UNSUPPORTED_SECONDS if unsupported else FAILED_SECONDS
            self._patience.obey(error)
            wait = max(usual, self._patience.seconds_left)
            self._not_before = now + round(wait * 1000)
            return wait
        if facts.first_id is None:
            await self._begin(page, now)
        return await self._measure(page, now)

    async def _next_target(self, now: Instant) -> tuple[str, str, Instant] | None:
        facts, fresh = await self._listing.facts(), self._listing.fresh
        for model, (_, accepted_at) in list(fresh.items()):
            if now - accepted_at > LATE_MILLISECONDS:
                del fresh[model]
        # Where the clock was set back the moment lies too far ahead.
        due = not now < self._next_at <= now + SAMPLE_MILLISECONDS
        wanted = [one for one in fresh if one not in facts.models] or (list(fresh) if due else [])
        if not wanted:
            fresh.clear()
            return None
        model = wanted[0]
        return (model, *fresh.pop(model))

    async def _begin(self, page: Page, now: Instant) -> None:
        """Keep what was there before anything of ours: whatever is above it came later."""
        if page.entries or not page.more:
            first = page.entries[0].provider_job_id if page.entries else ""
            await self._listing.learn(
                lambda facts: facts.read_first(first, now) if facts.first_id is None else facts
            )

    async def _measure(self, page: Page, now: Instant) -> float | None:
        if self._target is None:
            return None
        model, one, accepted_at = self._target
        shown = {entry.provider_job_id for entry in page.entries}
        # A full page that ends above the place of the entry shows nothing.
        reached = not page.more or bool(shown & await self._older(one))
        age = max(0, now - accepted_at)
        if one in shown:
            await self._listing.learn(lambda facts: facts.with_delay(age).with_model(model))
        elif not reached:
            log.debug("listing.not_reached", account=self._held.id, provider_job=one)
        elif age < GIVEN_UP_MILLISECONDS:
            return min(max(AGAIN_SECONDS_MIN, age / 1000), AGAIN_SECONDS_MAX)
        else:
            log.info("listing.never_showed", account=self._held.id, provider_job=one)
            await self._listing.learn(lambda facts: facts.with_delay(age))
        self._target, self._seen = None, shown
        self._next_at = now + SAMPLE_MILLISECONDS
        return 0.0 if self._listing.fresh else None

    async def _older(self, one: str) -> set[str]:
        """Return entries that are known to be older than this one."""
        newest = list(await self._listing.newest() or ())
        return {*newest[: newest.index(one)], *self._seen} if one in newest else self._seen
