"""Forgotten: notices that a server was restarted and lost the jobs that it kept in memory.

`domain.restart` says what shows that. Its jobs then end at once, or, where the operator allows
that for the account, are sent again: what was lost with such a server neither renders on nor costs.
"""

from collections.abc import Collection, Mapping

import structlog

from reelhook.core.recording import Recording, Transition
from reelhook.core.wakeups import Signals
from reelhook.domain.errors import ProviderError
from reelhook.domain.event import Instant
from reelhook.domain.fingerprint import server_of
from reelhook.domain.job import Job
from reelhook.domain.listing import ListingFacts
from reelhook.domain.lost_create import resubmitted
from reelhook.domain.report import Missing, Report, Unread
from reelhook.domain.restart import (
    MESSAGE,
    RESUBMITS_MAX,
    Denials,
    first_missed,
    forgotten,
    is_from_before,
)
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.listing_pages import ListingPages
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.ports import Clock, ForgottenStore

log = structlog.get_logger()
ENTRIES_MAX = 1000
"""A listing that goes on behind so many entries is not read to its end, and proves nothing."""
YOUNG_MILLISECONDS = 60_000
"""How long after its acceptance a job may not be readable yet, though nothing is wrong."""


class Forgotten:
    """Watches for a restart of one account's server. `margin`: see `domain.restart.forgotten`."""

    def __init__(
        self,
        store: ForgottenStore,
        held: LeasedAccount,
        recording: Recording,
        signals: Signals,
        *,
        margin: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._held = held
        self._recording = recording
        self._signals = signals
        self._patience = ReadPause(held.id, signals.account(held.id), clock)
        self._margin = margin
        self._clock = clock
        self._denials: dict[str, Denials] = {}
        self._listed: set[str] = set()
        """The ids that the listing showed to this process."""

    def take(self, reports: Mapping[str, Report | Unread], *, listed: bool) -> None:
        """Take in what was read: from the listing, which never denies a job, or one by one."""
        if listed:
            self._listed.update(reports)
            if self._denials:
                self._remove(reports)
            return
        for one, report in reports.items():
            if isinstance(report, Missing) and report.own:
                before = self._denials.get(one) or Denials(0, self._clock.now())
                self._denials[one] = Denials(before.count + 1, before.since)
            elif not isinstance(report, Unread):  # one that could not be read says neither
                self._denials.pop(one, None)

    def _remove(self, ids: Collection[str]) -> None:
        for one in self._denials.keys() & set(ids):
            del self._denials[one]

    def missed(self, job: Job, now: Instant) -> None:
        """Say, once, that a job which the provider knew before is not known there any more."""
        knew = job.sequence > 0 or job.provider_job_id in self._listed
        if knew or now - (job.accepted_at or now) >= YOUNG_MILLISECONDS:
            log.warning(
                "watch.missing",
                job=job.id,
                provider_job=job.provider_job_id,
                account=self._held.id,
                error="The provider no longer knows this job (404)",
            )

    async def look(self, watched: Mapping[str, Job]) -> None:
        """After a round: end, or send again, what a restart has lost. Raises `StoreError`.

        `watched` are the account's jobs, by the provider's ids.
        """
        self._remove(self._denials.keys() - watched.keys())
        if len(self._listed) > 2 * len(watched):
            self._listed.intersection_update(watched)
        if not self._denials:
            return
        lost = await self._lost(watched)
        if lost and await self._was_restarted(lost):
            await self._settle(lost)

    async def _lost(self, watched: Mapping[str, Job]) -> list[Job]:
        facts = await self._store.listing_facts(self._held.id)
        made_here = {None, self._held.provider.fingerprint}
        return forgotten(
            [job for job in watched.values() if job.submit_fingerprint in made_here],
            self._denials,
            was_shown=lambda job: job.provider_job_id in self._listed or _has_shown(facts, job),
            margin=self._margin,
            now=self._clock.now(),
        )

    async def _was_restarted(self, lost: list[Job]) -> bool:
        """Ask the server itself, and read its listing to the end."""
        provider, ids = self._held.provider, {one.provider_job_id or "" for one in lost}
        try:
            if not await provider.forgets_when_restarted():
                return False
            pages = ListingPages(self._held, self._patience, patient=False)
            complete = await pages.read(lambda read: len(read.entries) > ENTRIES_MAX)
            if not (complete and pages.ended and pages.readable and pages.supported):
                return False
            entries = pages.entries
            known = await self._store.known_entries(
                self._held.accounts, server_of(provider.fingerprint), list(entries)
            )
            gone_at = first_missed(lost, self._clock.now())
            for one, entry in entries.items():
                if is_from_before(entry, ids, known.get(one), gone_at=gone_at, margin=self._margin):
                    log.debug("watch.not_restarted", account=self._held.id, shows=one)
                    return False
            report = (await provider.get(min(ids))).report
        except ProviderError as error:
            log.debug("watch.not_restarted", account=self._held.id, error=error.message)
            return False
        return isinstance(report, Missing) and report.own

    async def _settle(self, lost: list[Job]) -> None:
        now = self._clock.now()
        transitions = [self._transition(one, now) for one in lost]
        written = await self._recording.record(transitions, self._held.lease)
        again = sum(not one.status.terminal for one in written)
        log.warning(
            "watch.restarted",
            account=self._held.id,
            sent_again=again,
            failed=len(written) - again,
            error="The server was restarted, and has forgotten the jobs that it kept in memory",
        )
        if again:
            self._signals.submit.tell()

    def _transition(self, job: Job, now: Instant) -> Transition:
        # One that was registered has no request here that could be sent.
        may = self._held.account.resubmit_forgotten and job.submit_fingerprint is not None
        if may and job.forgotten < RESUBMITS_MAX:
            return resubmitted(job, now)
        return job.fail("provider_error", MESSAGE, now)


def _has_shown(facts: ListingFacts | None, job: Job) -> bool:
    """Whether the listing showed jobs like this one to an earlier process.

    Its own create was answered with its id by this server, and so were others, which were seen.
    """
    return (
        facts is not None
        and facts.fingerprint == job.submit_fingerprint
        and job.model in facts.models
    )
