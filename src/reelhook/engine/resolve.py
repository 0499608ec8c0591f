"""Resolve: finds out what became of submits without an answer, and never pays to do so.

Looking up, proving absence, and giving up visibly follow `domain.lookup`; here is the reading.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from reelhook.domain.errors import ListingUnsupportedError, ProviderError
from reelhook.domain.event import Instant
from reelhook.domain.job import VideoRequest
from reelhook.domain.lookup import Doubt, Resolution, resolve
from reelhook.domain.report import Entry, Page
from reelhook.engine.held import Held
from reelhook.engine.patience import Patience
from reelhook.engine.runner import Tasks
from reelhook.engine.submit import Submit
from reelhook.ports import Acceptance, Clock, StoredJob, SubmitStore
from reelhook.recording import Recording, log_registered
from reelhook.signals import Signals

log = structlog.get_logger()
PAGE_TRIES = 4
PAGES_MAX = 1000
LOOK_SECONDS_YOUNG = 1.0
LOOK_SECONDS = 5.0
"""How often the store is asked for doubts too: not every one of them comes with a signal."""
YOUNG_MILLISECONDS = 10_000

UNKNOWN_MESSAGE = (
    "The provider may or may not have accepted this job, and its listing can't tell; "
    "look it up there, then adopt or abandon it"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a look at the listing brought; `complete` if it was read past the window."""

    entries: tuple[Entry, ...]
    complete: bool


class Resolve:
    """Looks up the submits in doubt of one account.

    `siblings` are the other accounts of its provider: two keys may share one listing.
    """

    name = "resolve"

    def __init__(
        self,
        store: SubmitStore,
        held: Held,
        recording: Recording,
        signals: Signals,
        submit: Submit,
        *,
        siblings: Sequence[str] = (),
        settle_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._held = held
        self._recording = recording
        self._signals = signals
        self._submit = submit
        self._siblings = siblings
        self._settle_milliseconds = round(settle_seconds * 1000)
        self._clock = clock
        self._patience = Patience(held.id, signals.account(held.id), clock)
        self.signal = signals.resolve.fork()
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Look up every submit in doubt at once; see `Loop`."""
        submitting = await self._store.jobs_submitting(self._held.id)
        owned = self._submit.calls.owned()
        jobs = await self._mark([one for one in submitting if one.job.id not in owned])
        if not jobs:
            return LOOK_SECONDS
        now = self._clock.now()
        doubts = [self._doubt(stored, now) for stored in jobs.values()]
        listing = await self._listing(
            min(doubt.window_start for doubt in doubts), patient=self._is_patient(jobs, now)
        )
        if listing is not None:
            await self._settle(jobs, doubts, listing)
        return self._next_look(jobs, now)

    async def _mark(self, submitting: list[StoredJob]) -> dict[str, StoredJob]:
        """Start the settle time of jobs whose worker died between intent and outcome."""
        now = self._clock.now()
        orphans = [(one.job.in_doubt(now), ()) for one in submitting if one.job.doubt_since is None]
        marked = {job.id: job for job in await self._recording.record(orphans, self._held.lease)}
        return {
            one.job.id: replace(one, job=marked.get(one.job.id, one.job))
            for one in submitting
            if one.job.doubt_since is not None or one.job.id in marked
        }

    def _doubt(self, stored: StoredJob, now: Instant) -> Doubt:
        job = stored.job
        since = job.doubt_since or now
        return Doubt(
            job_id=job.id,
            request=stored.request,
            started_at=job.submit_started_at or job.created_at,
            settled=now - since >= self._settle_milliseconds,
            since=since,
        )

    def _is_patient(self, jobs: dict[str, StoredJob], now: Instant) -> bool:
        """Whether some doubt is younger than twice the settle time."""
        youngest = max(stored.job.doubt_since or now for stored in jobs.values())
        return now - youngest < 2 * self._settle_milliseconds

    async def _listing(self, window_start: Instant, *, patient: bool) -> Listing | None:
        """Read the listing past the window; None when that failed and is worth another try."""
        entries: dict[str, Entry] = {}
        after: str | None = None
        complete = True
        try:
            for _ in range(PAGES_MAX):
                page = await self._page(after)
                fresh = [e for e in page.entries if e.provider_job_id not in entries]
                entries.update((entry.provider_job_id, entry) for entry in fresh)
                # Nothing new behind a cursor: it was ignored, or not known. What may follow is
                # not to be seen then. Neither is an entry without an id, or what a page without
                # any entry claims to follow.
                lost = not fresh and (after is not None or page.more)
                complete = complete and not lost and not page.unreadable
                if lost or not page.more or _read_past(window_start, list(entries.values())):
                    return Listing(tuple(entries.values()), complete)
                after = fresh[-1].provider_job_id
        except ListingUnsupportedError as error:
            # One that was there before may come back: proxies say 404 or 405 while a server
            # restarts.
            if patient and await self._store.listing_proven(self._held.id):
                log.warning("resolve.listing_gone", account=self._held.id, error=error.message)
                return None
        except ProviderError as error:
            log.warning("resolve.listing_failed", account=self._held.id, error=error.message)
            await self._hold(error)
            return None
        return Listing(tuple(entries.values()), complete=False)

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

    async def _settle(
        self, jobs: dict[str, StoredJob], doubts: list[Doubt], listing: Listing
    ) -> None:
        # A paid call that was under way while the listing was read may own one of its entries.
        calls = self._submit.calls.live
        if calls:
            await asyncio.wait(calls)
        # Before it is asked which entries are claimed: an answer that comes in between claims its.
        others = await self._others(doubts) if listing.entries else []
        ids = [entry.provider_job_id for entry in listing.entries]
        claimed = await self._store.claimed(self._held.id, ids)
        proven = await self._proven(any(claimed.values()))
        for sibling in self._siblings:
            claimed |= await self._store.claimed(sibling, ids)
        unclaimed = [e for e in listing.entries if e.provider_job_id not in claimed]
        resolution = resolve(
            doubts,
            unclaimed,
            listing_proven=proven and listing.complete,
            given_up=others,
        )
        await self._record(jobs, resolution)

    async def _others(self, doubts: list[Doubt]) -> list[VideoRequest]:
        """Return what other jobs asked for that may have unclaimed entries in the window.

        They ended in doubt, or are being created by siblings. Those that a person adopted have
        their entry, and of the abandoned it is known that there is none.
        """
        start = min(doubt.window_start for doubt in doubts)
        created = [
            one for name in self._siblings for one in await self._store.jobs_submitting(name)
        ]
        ended = [
            one
            for one in await self._store.jobs_in_doubt()
            if one.job.account in {self._held.id, *self._siblings}
            and one.job.status.terminal
            and one.job.updated_at >= start
        ]
        return [one.request for one in (*created, *ended)]

    async def _proven(self, seen_ours: bool) -> bool:
        if await self._store.listing_proven(self._held.id):
            return True
        if seen_ours:
            await self._store.prove_listing(self._held.id, self._held.lease)
        return seen_ours

    async def _record(self, jobs: dict[str, StoredJob], resolution: Resolution) -> None:
        for job_id, entry in resolution.found.items():
            await self._adopt(jobs[job_id], entry)
        now = self._clock.now()
        again = [(jobs[job_id].job.submit_again(now, now), ()) for job_id in resolution.absent]
        for job in await self._recording.record(again, self._held.lease):
            log.info("resolve.absent", job=job.id, account=self._held.id)
        self._signals.submit.set()
        lost = [
            jobs[job_id].job.fail("submission_unknown", UNKNOWN_MESSAGE, now)
            for job_id in resolution.unknown
        ]
        await self._recording.record(lost, self._held.lease)

    async def _adopt(self, stored: StoredJob, entry: Entry) -> None:
        now = self._clock.now()
        adopted = stored.job.accept(entry.provider_job_id, now, adopted=True)
        transition = adopted.apply(entry.report, now)
        acceptance = await self._recording.accept(self._store, transition, self._held.lease)
        if acceptance is Acceptance.RECORDED:
            log_registered(adopted, stored.webhook_url)

    def _next_look(self, jobs: dict[str, StoredJob], now: Instant) -> float:
        ages = [now - (stored.job.doubt_since or now) for stored in jobs.values()]
        until_settled = [
            (self._settle_milliseconds - age) / 1000
            for age in ages
            if age < self._settle_milliseconds
        ]
        usual = LOOK_SECONDS_YOUNG if min(ages) < YOUNG_MILLISECONDS else LOOK_SECONDS
        return max(0.05, min([usual, *until_settled]))


def _read_past(window_start: Instant, entries: list[Entry]) -> bool:
    """Whether the oldest entry is older than the window, in a listing that is newest first.

    A listing in another order, or without times, has to be read to its end.
    """
    times = [entry.created_at for entry in entries]
    known = [time for time in times if time is not None]
    if len(known) < len(times) or known != sorted(known, reverse=True):
        return False
    return known[-1] < window_start
