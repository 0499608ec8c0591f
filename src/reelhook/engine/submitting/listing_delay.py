"""Measures how soon a provider's listing shows a new entry.

A create without a response is looked up in the listing. Its absence means nothing until the
listing has had the time to show it. This time is measured with entries that we know.
"""

import structlog

from reelhook.core.pause import WatchingPause
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
"""The least time between two measurements, except for models without any."""
AGAIN_SECONDS_MIN, AGAIN_SECONDS_MAX = 0.25, 30.0
LATE_MILLISECONDS = 5_000
"""An entry that is looked for later than this can't measure the delay: the gap would count."""
GIVEN_UP_MILLISECONDS = 10 * 60 * 1000
FAILED_SECONDS_MIN, FAILED_SECONDS_MAX = 0.5, 30.0
"""The wait after a failed read; it doubles with each one in a row. A first wait of 30 s would leave
the delay unknown until the first creates in doubt are given up."""
UNSUPPORTED_SECONDS = 600.0


class ListingDelay:
    """Reads the top of one account's listing: once when it is new to us, then after creates."""

    name = "listing"

    def __init__(
        self, leased: LeasedAccount, listing: AccountListing, pause: WatchingPause, clock: Clock
    ) -> None:
        self._leased = leased
        self._listing = listing
        self._pause = pause
        self._read_pause = ReadPause(leased.id, leased.health, clock)
        self._clock = clock
        self._target: tuple[str, str, Instant] | None = None
        self._look_at: Instant = 0
        """The time at which the target should be looked for."""
        self._failures = 0
        self._next_at: Instant = 0
        self._read_again_at: Instant = 0
        self._seen: set[str] = set()
        self.signal = listing.signal
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Read the top of the listing if there is something to learn; see `Loop`."""
        page_size = self._leased.provider.traits.page_size_max
        now = self._clock.now()
        if not page_size or self._pause.active:
            return None
        wait = max((self._read_again_at - now) / 1000, self._read_pause.seconds_left)
        if wait > 0:
            return wait
        facts = await self._listing.facts()
        await self._choose_target(now)
        if self._target is None and facts.first_id is not None:
            return None
        try:
            page = await self._leased.provider.page(None, page_size)
        except ProviderError as error:
            return self._failed(error, now)
        self._failures = 0
        if facts.first_id is None:
            await self._begin(page, now)
        return await self._measure(page, now)

    def _failed(self, error: ProviderError, now: Instant) -> float:
        """Return the seconds until the next read after one that failed."""
        log.debug("listing.unread", account=self._leased.id, error=error.message)
        if isinstance(error, ListingUnsupportedError):
            usual = UNSUPPORTED_SECONDS
        else:
            usual = min(FAILED_SECONDS_MIN * 2**self._failures, FAILED_SECONDS_MAX)
            self._failures = min(self._failures + 1, 10)
        self._read_pause.obey(error)
        wait = max(usual, self._read_pause.seconds_left)
        self._read_again_at = now + round(wait * 1000)
        return wait

    async def _choose_target(self, now: Instant) -> None:
        """Take an entry to look for, if there is none or failed reads have made it too late."""
        if self._target is not None and now - self._look_at > LATE_MILLISECONDS:
            self._target = None
        if self._target is None:
            self._target = await self._next_target(now)
            self._look_at = now

    async def _next_target(self, now: Instant) -> tuple[str, str, Instant] | None:
        facts, unmeasured = await self._listing.facts(), self._listing.unmeasured
        for model, (_, accepted_at) in list(unmeasured.items()):
            if now - accepted_at > LATE_MILLISECONDS:
                del unmeasured[model]
        # A time too far ahead shows that the clock was set back.
        due = not now < self._next_at <= now + SAMPLE_MILLISECONDS
        wanted = [model for model in unmeasured if model not in facts.models]
        if due and not wanted:
            wanted = list(unmeasured)
        if not wanted:
            unmeasured.clear()
            return None
        model = wanted[0]
        return (model, *unmeasured.pop(model))

    async def _begin(self, page: Page, now: Instant) -> None:
        """Store the newest entry that was there before ours: all entries above it came later."""
        if page.entries or not page.more:
            first = page.entries[0].provider_job_id if page.entries else ""
            await self._listing.learn(
                lambda facts: facts.read_first(first, now) if facts.first_id is None else facts
            )

    async def _measure(self, page: Page, now: Instant) -> float | None:
        if self._target is None:
            return None
        model, provider_job_id, accepted_at = self._target
        shown = {entry.provider_job_id for entry in page.entries}
        # A full page that ends before the place of the entry proves nothing.
        reached = not page.more or bool(shown & await self._older(provider_job_id))
        age = max(0, now - accepted_at)
        if provider_job_id in shown:
            await self._listing.learn(lambda facts: facts.with_delay(age).with_model(model))
        elif not reached:
            log.debug("listing.not_reached", account=self._leased.id, provider_job=provider_job_id)
        elif age < GIVEN_UP_MILLISECONDS:
            wait = min(max(AGAIN_SECONDS_MIN, age / 1000), AGAIN_SECONDS_MAX)
            self._look_at = now + round(wait * 1000)
            return wait
        else:
            log.info("listing.never_showed", account=self._leased.id, provider_job=provider_job_id)
            await self._listing.learn(lambda facts: facts.with_delay(age))
        self._target, self._seen = None, shown
        self._next_at = now + SAMPLE_MILLISECONDS
        return 0.0 if self._listing.unmeasured else None

    async def _older(self, provider_job_id: str) -> set[str]:
        """Return entries that are known to be older than this one."""
        newest = list(await self._listing.newest() or ())
        if provider_job_id not in newest:
            return self._seen
        return {*newest[: newest.index(provider_job_id)], *self._seen}
