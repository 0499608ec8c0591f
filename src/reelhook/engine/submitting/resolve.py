"""Resolve: finds out whether creates without a response were accepted, and never pays for that.

`domain.listing` and `domain.reconciliation` decide what a listing proves; `evidence` reads it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.doubt import Doubt
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import Listing, ListingFacts
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
from reelhook.engine.submitting.evidence import Evidence
from reelhook.engine.submitting.resolved import ResolvedCreates, Retrying
from reelhook.engine.submitting.submit import Submit
from reelhook.ports import Clock, LookupStore, StoredJob

RECENT_LOOK_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""The time between two looks: not every create in doubt sets a signal."""
RECENT_MILLISECONDS = 10_000


class Resolve:
    """Looks up the unresolved creates of one account."""

    name = "resolve"

    def __init__(
        self,
        store: LookupStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        submit: Submit,
        listing: AccountListing,
        *,
        retrying: Retrying,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._resolved = ResolvedCreates(store, leased, recording, signals, retrying, clock)
        self._submit = submit
        self._listing = listing
        self._settle_milliseconds = round(retrying.settle_seconds * 1000)
        self._clock = clock
        self._evidence = Evidence(
            store, leased, listing, settle_milliseconds=self._settle_milliseconds, clock=clock
        )
        self._requests: dict[str, StoredJob] = {}
        self._used: set[str] = set()
        self._missed_at: dict[str, Instant] = {}
        """For each job, the time of the last read during its doubt that did not show its entry."""
        self.signal = signals.resolve.fork()
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Look up every unresolved create at once; see `Loop`."""
        self._used.clear()
        jobs = await self._unresolved()
        if not jobs:
            self._requests.clear()
            self._missed_at.clear()
            self._evidence.unread_since = None
            return LOOK_SECONDS
        listing = await self._evidence.read_in_time([self._doubt(job) for job in jobs.values()])
        if listing is not None:
            await self._resolve(listing)
        elif self._evidence.is_given_up:
            await self._give_up_unread()
        self._requests = {k: v for k, v in self._requests.items() if k in self._used}
        return await self._next_look(list(jobs.values()))

    # -- unresolved creates ---------------------------------------------------------------------

    async def _unresolved(self) -> dict[str, StoredJob]:
        submitting = await self._store.jobs_submitting(self._leased.id)
        owned = self._submit.owned()
        orphans = [job for job in submitting if job.id not in owned]
        return await self._stored(await self._mark(orphans))

    async def _mark(self, orphans: Sequence[Job]) -> list[Job]:
        """Start the settle time of jobs whose worker died between intent and outcome."""
        now = self._clock.now()
        unmarked = [(job.in_doubt(now), ()) for job in orphans if job.doubt_since is None]
        marked = {job.id: job for job in await self._recording.record(unmarked, self._leased.lease)}
        return [
            marked.get(job.id, job)
            for job in orphans
            if job.doubt_since is not None or job.id in marked
        ]

    async def _stored(self, jobs: Sequence[Job]) -> dict[str, StoredJob]:
        """Return jobs with their requests, each read once because it may have an image."""
        known = self._requests
        self._used.update(job.id for job in jobs)
        unread = [job.id for job in jobs if not _same_request(known.get(job.id), job)]
        known |= {stored.job.id: stored for stored in await self._store.jobs_to_look_up(unread)}
        return {job.id: replace(known[job.id], job=job) for job in jobs if job.id in known}

    def _doubt(self, stored: StoredJob) -> Doubt:
        job = stored.job
        sent_at = job.submit_started_at or job.created_at
        return Doubt(
            job_id=job.id,
            request=stored.request,
            sent_at=sent_at,
            since=job.doubt_since or sent_at,
            after=job.older_entries,
            same_server=job.submit_fingerprint == self._listing.fingerprint,
            marked=job.submit_marked,
            ended=job.exchange_ended,
        )

    # -- resolving ------------------------------------------------------------------------------

    async def _resolve(self, listing: Listing) -> None:
        # A paid call that was in flight while the listing was read may own one of its entries.
        calls = self._submit.calls.live
        if calls:
            await asyncio.wait(calls)
        # A call that ended in doubt may own an entry too; one with a response claims its own.
        jobs = await self._unresolved()
        in_doubt = [self._doubt(job) for job in jobs.values()]
        if not in_doubt:
            return
        others = await self._others(in_doubt, listing)
        listing = await self._evidence.completed(listing, in_doubt)
        resolution = resolve(
            in_doubt,
            listing,
            now=self._clock.now(),
            settle_milliseconds=self._settle_milliseconds,
            others=others,
        )
        await self._learn_delays(in_doubt, listing, resolution)
        await self._resolved.record(jobs, resolution)

    async def _give_up_unread(self) -> None:
        """End the doubts that have lasted long enough while the listing can't be read."""
        now = self._clock.now()
        overdue = {
            job_id: stored
            for job_id, stored in (await self._unresolved()).items()
            if now >= given_up_at(self._doubt(stored), self._settle_milliseconds)
        }
        reason = f"the listing can't be read: {self._evidence.unread_reason}"
        await self._resolved.give_up(overdue, Resolution(unknown=dict.fromkeys(overdue, reason)))

    async def _others(self, in_doubt: Sequence[Doubt], listing: Listing) -> Others:
        """Return the requests of other jobs that may have unclaimed entries in the listing."""
        if not listing.entries:
            ended: list[Job] = []
        else:
            since = min(doubt.sent_at for doubt in in_doubt)
            ended = await self._store.jobs_ended_unknown(self._leased.accounts, since)
        sharing = [
            job
            for account in self._leased.sharing
            for job in await self._store.jobs_submitting(account)
        ]
        stored = await self._stored([*ended, *sharing])
        now = self._clock.now()
        return Others(
            ended=[stored[job.id].request for job in ended if job.id in stored],
            elsewhere=[stored[job.id].request for job in sharing if job.id in stored],
            open=bool(sharing)
            or any(now - doubt.since < self._settle_milliseconds for doubt in in_doubt),
        )

    async def _learn_delays(
        self, in_doubt: Sequence[Doubt], listing: Listing, resolution: Resolution
    ) -> None:
        """Learn how late the listing may be from entries that an earlier look missed."""
        for doubt in in_doubt:
            if doubt.job_id not in resolution.found:
                self._missed_at[doubt.job_id] = listing.read_at
            elif self._missed_at.pop(doubt.job_id, 0) > doubt.since:
                late = max(0, listing.read_at - doubt.since)
                await self._listing.learn(partial(ListingFacts.with_delay, milliseconds=late))

    async def _next_look(self, jobs: Sequence[StoredJob]) -> float:
        now, delay = self._clock.now(), (await self._listing.facts()).delay_max
        in_doubt = [self._doubt(job) for job in jobs]
        settle = self._settle_milliseconds
        instants = [
            instant
            for doubt in in_doubt
            for instant in (
                settled_at(doubt, settle),
                deadline(doubt, delay, settle),
                given_up_at(doubt, settle),
            )
            if instant > now
        ]
        recent = any(now - doubt.since < RECENT_MILLISECONDS for doubt in in_doubt)
        usual = RECENT_LOOK_SECONDS if recent else LOOK_SECONDS
        return max(0.05, min([usual, *((instant - now) / 1000 for instant in instants)]))


def _same_request(stored: StoredJob | None, job: Job) -> bool:
    return stored is not None and stored.job.model == job.model
