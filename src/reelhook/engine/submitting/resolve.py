"""Resolve: finds out what became of creates without a response, and never pays to do so.

What a listing proves is decided in `domain.listing` and `domain.lookup`; here it is read.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.event import Instant
from reelhook.domain.fingerprint import server_of
from reelhook.domain.job import Job
from reelhook.domain.listing import (
    CLOCK_SLACK_MILLISECONDS,
    EXPECTED_MILLISECONDS,
    Doubt,
    Known,
    Listing,
    ListingFacts,
)
from reelhook.domain.reconciliation import (
    Others,
    Resolution,
    deadline,
    given_up_at,
    resolve,
    settled_at,
)
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.listing_pages import ListingPages
from reelhook.engine.submitting.resolved import ResolvedCreates, Retrying
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.engine.submitting.submit import Submit
from reelhook.ports import Clock, LookupStore, StoredJob

log = structlog.get_logger()
LOOK_SECONDS_YOUNG = 1.0
LOOK_SECONDS = 5.0
"""How often the store is asked for doubts too: not every one of them comes with a signal."""
YOUNG_MILLISECONDS = 10_000
EXPECTED_MAX = 5000
"""So many of our newest entries are looked for in a listing that is to prove something."""
PAST_ENTRIES = 100
"""So many entries are read past the newest one that is known to be older."""
UNREAD_MILLISECONDS_MIN = 30_000
"""How long a listing must have been unreadable, in this process, before a doubt is given up."""
SHOWN_AFTER_MILLISECONDS = 2000
"""How much older than a read an entry must be to be expected in it, if no delay was measured."""


class Resolve:
    """Looks up the unresolved creates of one account."""

    name = "resolve"

    def __init__(
        self,
        store: LookupStore,
        held: LeasedAccount,
        recording: Recording,
        signals: Signals,
        submit: Submit,
        listing: AccountListing,
        *,
        retrying: Retrying,
        clock: Clock,
    ) -> None:
        self._store = store
        self._held = held
        self._recording = recording
        self._judged = ResolvedCreates(store, held, recording, signals, retrying, clock)
        self._submit = submit
        self._listing = listing
        self._settle_milliseconds = round(retrying.settle_seconds * 1000)
        self._clock = clock
        self._patience = ReadPause(held.id, signals.account(held.id), clock)
        self._requests: dict[str, StoredJob] = {}
        self._used: set[str] = set()
        self._missed_at: dict[str, Instant] = {}
        """When the listing was last read without the entry of a job, since its doubt began."""
        self._unread_since: Instant | None = None
        self._unread_reason = ""
        self.signal = signals.resolve.fork()
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Look up every unresolved create at once; see `Loop`."""
        self._used.clear()
        jobs = await self._unresolved()
        if not jobs:
            self._requests.clear()
            self._missed_at.clear()
            self._unread_since = None
            return LOOK_SECONDS
        listing = await self._read_in_time([_doubt(one, self._listing) for one in jobs.values()])
        if listing is not None:
            self._unread_since = None
            await self._settle(listing)
        else:
            await self._give_up_unread()
        self._requests = {k: v for k, v in self._requests.items() if k in self._used}
        return await self._next_look(list(jobs.values()))

    # -- what is unresolved ---------------------------------------------------------------------

    async def _unresolved(self) -> dict[str, StoredJob]:
        submitting = await self._store.jobs_submitting(self._held.id)
        owned = self._submit.owned()
        orphans = [one for one in submitting if one.id not in owned]
        return await self._stored(await self._mark(orphans))

    async def _mark(self, orphans: Sequence[Job]) -> list[Job]:
        """Start the settle time of jobs whose worker died between intent and outcome."""
        now = self._clock.now()
        unmarked = [(one.in_doubt(now), ()) for one in orphans if one.doubt_since is None]
        marked = {job.id: job for job in await self._recording.record(unmarked, self._held.lease)}
        return [
            marked.get(one.id, one)
            for one in orphans
            if one.doubt_since is not None or one.id in marked
        ]

    async def _stored(self, jobs: Sequence[Job]) -> dict[str, StoredJob]:
        """Return jobs with their requests, each of which is read once: it may have an image."""
        known = self._requests
        self._used.update(one.id for one in jobs)
        unread = [one.id for one in jobs if not _same_request(known.get(one.id), one)]
        known |= {one.job.id: one for one in await self._store.jobs_to_look_up(unread)}
        return {one.id: replace(known[one.id], job=one) for one in jobs if one.id in known}

    # -- the listing ----------------------------------------------------------------------------

    async def _read_in_time(self, in_doubt: Sequence[Doubt]) -> Listing | None:
        """Read the listing; None where that failed, or takes longer than a doubt may last."""
        now = self._clock.now()
        if self._unread_since is None:
            self._unread_since = now
        given_up = min(given_up_at(one, self._settle_milliseconds) for one in in_doubt)
        end = max(given_up, self._unread_since + UNREAD_MILLISECONDS_MIN, now + 1000)
        late = asyncio.Event()
        read = asyncio.create_task(self._read(in_doubt, now))
        alarm = asyncio.create_task(self._clock.wait(late, (end - now) / 1000))
        try:
            await asyncio.wait([read, alarm], return_when=asyncio.FIRST_COMPLETED)
            if not read.done():
                self._unread_reason = "reading it takes too long, or has to wait"
                return None
            return read.result()
        finally:
            for one in (read, alarm):
                one.cancel()
            await asyncio.gather(read, alarm, return_exceptions=True)

    async def _give_up_unread(self) -> None:
        """End the doubts that have lasted long enough while the listing can't be read."""
        now = self._clock.now()
        since = now if self._unread_since is None else self._unread_since
        if now - since < UNREAD_MILLISECONDS_MIN:
            return
        settle = self._settle_milliseconds
        overdue = {
            job_id: stored
            for job_id, stored in (await self._unresolved()).items()
            if now >= given_up_at(_doubt(stored, self._listing), settle)
        }
        reason = f"it can't be read: {self._unread_reason}"
        await self._judged.give_up(overdue, Resolution(unknown=dict.fromkeys(overdue, reason)))

    async def _read(self, in_doubt: Sequence[Doubt], now: Instant) -> Listing | None:
        """Read the listing as far as it may prove something.

        None when that failed and is worth another try.
        """
        facts = await self._listing.facts()
        patient = facts.models and any(
            now - one.since < 2 * self._settle_milliseconds for one in in_doubt
        )
        pages = ListingPages(self._held, self._patience, patient=bool(patient))
        if not await pages.read(partial(_reached, in_doubt)):
            self._unread_reason = pages.failure
            return None
        listing = await self._evidence(pages, now)
        if pages.supported and not pages.ended and not listing.ordered:
            if not await pages.read(lambda _: False):
                self._unread_reason = pages.failure
                return None
            listing = await self._evidence(pages, now)
        return listing

    async def _evidence(self, pages: ListingPages, read_at: Instant) -> Listing:
        ids = list(pages.entries)
        return Listing(
            tuple(pages.entries.values()),
            ended=pages.ended,
            readable=pages.readable,
            supported=pages.supported,
            read_at=read_at,
            facts=await self._listing.facts(),
            known=await self._known(ids),
        )

    async def _settle(self, listing: Listing) -> None:
        # A paid call that was in flight while the listing was read may own one of its entries.
        calls = self._submit.calls.live
        if calls:
            await asyncio.wait(calls)
        # What these calls left unresolved may own an entry as well, and an answer claims its own.
        jobs = await self._unresolved()
        in_doubt = [_doubt(one, self._listing) for one in jobs.values()]
        if not in_doubt:
            return
        others = await self._others(in_doubt, listing)
        known = await self._known(list(listing.place))
        created = {one.request.model for one in known.values() if one.created}
        await self._listing.learn(lambda facts: facts.with_model(*created))
        listing = replace(
            listing,
            known=known,
            facts=await self._listing.facts(),
            expected=await self._expected(in_doubt, listing),
        )
        resolution = resolve(
            in_doubt,
            listing,
            now=self._clock.now(),
            settle_milliseconds=self._settle_milliseconds,
            others=others,
        )
        await self._learn_delays(in_doubt, listing, resolution)
        await self._judged.record(jobs, resolution)

    async def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        server = server_of(self._listing.fingerprint)
        return await self._store.known_entries(self._held.accounts, server, ids)

    async def _expected(self, in_doubt: Sequence[Doubt], listing: Listing) -> dict[str, Instant]:
        since = min(doubt.sent_at for doubt in in_doubt) - EXPECTED_MILLISECONDS
        delay = 2 * (listing.facts.delay_max or 0)
        until = listing.read_at - max(delay, SHOWN_AFTER_MILLISECONDS)
        return await self._store.expected_entries(
            self._held.id, self._listing.fingerprint, since, until, EXPECTED_MAX
        )

    async def _others(self, in_doubt: Sequence[Doubt], listing: Listing) -> Others:
        """Return what other jobs asked for that may have unclaimed entries in the listing."""
        if not listing.entries:
            ended: list[Job] = []
        else:
            since = min(doubt.sent_at for doubt in in_doubt)
            ended = await self._store.jobs_ended_unknown(self._held.accounts, since)
        sharing = [
            job
            for account in self._held.sharing
            for job in await self._store.jobs_submitting(account)
        ]
        stored = await self._stored([*ended, *sharing])
        now = self._clock.now()
        return Others(
            ended=[stored[one.id].request for one in ended if one.id in stored],
            elsewhere=[stored[one.id].request for one in sharing if one.id in stored],
            open=bool(sharing)
            or any(now - one.since < self._settle_milliseconds for one in in_doubt),
        )

    # -- what comes of it -----------------------------------------------------------------------

    async def _learn_delays(
        self, in_doubt: Sequence[Doubt], listing: Listing, resolution: Resolution
    ) -> None:
        """An entry that an earlier look missed shows how late the listing may be."""
        for doubt in in_doubt:
            if doubt.job_id not in resolution.found:
                self._missed_at[doubt.job_id] = listing.read_at
            elif self._missed_at.pop(doubt.job_id, 0) > doubt.since:
                late = max(0, listing.read_at - doubt.since)
                await self._listing.learn(partial(ListingFacts.with_delay, milliseconds=late))

    async def _next_look(self, jobs: Sequence[StoredJob]) -> float:
        now, delay = self._clock.now(), (await self._listing.facts()).delay_max
        in_doubt = [_doubt(one, self._listing) for one in jobs]
        settle = self._settle_milliseconds
        moments = [
            moment
            for one in in_doubt
            for moment in (
                settled_at(one, settle),
                deadline(one, delay, settle),
                given_up_at(one, settle),
            )
            if moment > now
        ]
        young = any(now - one.since < YOUNG_MILLISECONDS for one in in_doubt)
        usual = LOOK_SECONDS_YOUNG if young else LOOK_SECONDS
        return max(0.05, min([usual, *((moment - now) / 1000 for moment in moments)]))


def _doubt(stored: StoredJob, listing: AccountListing) -> Doubt:
    job = stored.job
    sent_at = job.submit_started_at or job.created_at
    return Doubt(
        job_id=job.id,
        request=stored.request,
        sent_at=sent_at,
        since=job.doubt_since or sent_at,
        after=job.older_entries,
        same_server=job.submit_fingerprint == listing.fingerprint,
        marked=job.submit_marked,
        ended=job.exchange_ended,
    )


def _same_request(stored: StoredJob | None, job: Job) -> bool:
    return stored is not None and stored.job.model == job.model


def _reached(in_doubt: Sequence[Doubt], pages: ListingPages) -> bool:
    """Whether the listing was read past an entry that is older than all the doubts' own.

    By a page: an order that is not what it seems shows itself around there. A create without such
    an entry can only be found: where it is looked for by time.
    """
    place, oldest = pages.place, pages.oldest_at
    for doubt in in_doubt:
        if doubt.after is None and oldest is not None:
            if oldest >= doubt.sent_at - 5 * CLOCK_SLACK_MILLISECONDS:
                return False
            continue
        anchors = [place[one] for one in doubt.after or () if one in place]
        if not anchors or len(place) - min(anchors) < PAST_ENTRIES:
            return False
    return True
