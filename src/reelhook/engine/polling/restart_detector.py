"""Restart detector: detects that a server was restarted and lost the jobs that it kept in memory.

`domain.restart` decides what proves that. The lost jobs then end at once. If the operator allows it
for the account, they are sent again instead: such a server neither renders them nor charges for
them.
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
"""A listing with more entries is not read to its end, and proves nothing."""
YOUNG_MILLISECONDS = 60_000
"""The time after acceptance during which a job may not be readable yet."""


class RestartDetector:
    """Watches for a restart of one account's server. `margin`: see `domain.restart.forgotten`."""

    def __init__(
        self,
        store: ForgottenStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        *,
        margin: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._signals = signals
        self._pause = ReadPause(leased.id, leased.health, clock)
        self._margin = margin
        self._clock = clock
        self._denials: dict[str, Denials] = {}
        self._listed: set[str] = set()
        """The provider's ids that this process has seen in the listing."""

    def note(self, reports: Mapping[str, Report | Unread], *, listed: bool) -> None:
        """Record the jobs that a read confirmed or denied. A listing never denies a job."""
        if listed:
            self._listed.update(reports)
            if self._denials:
                self._remove(reports)
            return
        for provider_job_id, report in reports.items():
            if isinstance(report, Missing) and report.own:
                before = self._denials.get(provider_job_id) or Denials(0, self._clock.now())
                self._denials[provider_job_id] = Denials(before.count + 1, before.since)
            elif not isinstance(report, Unread):  # a failed read neither confirms nor denies
                self._denials.pop(provider_job_id, None)

    def _remove(self, ids: Collection[str]) -> None:
        for provider_job_id in self._denials.keys() & set(ids):
            del self._denials[provider_job_id]

    def log_missing(self, job: Job, now: Instant) -> None:
        """Log, once, that the provider no longer knows a job that it knew before."""
        was_known = job.sequence > 0 or job.provider_job_id in self._listed
        if was_known or now - (job.accepted_at or now) >= YOUNG_MILLISECONDS:
            log.warning(
                "watch.missing",
                job=job.id,
                provider_job=job.provider_job_id,
                account=self._leased.id,
                error="The provider no longer knows this job (404)",
            )

    async def settle(self, watched: Mapping[str, Job]) -> None:
        """After a round, end or resubmit the jobs that a restart has lost. Raises `StoreError`.

        `watched` maps the provider's ids to the account's jobs.
        """
        self._remove(self._denials.keys() - watched.keys())
        if len(self._listed) > 2 * len(watched):
            self._listed.intersection_update(watched)
        if not self._denials:
            return
        lost = await self._lost(watched)
        if lost and await self._was_restarted(lost):
            await self._end_or_resubmit(lost)

    async def _lost(self, watched: Mapping[str, Job]) -> list[Job]:
        facts = await self._store.listing_facts(self._leased.id)
        made_here = {None, self._leased.provider.fingerprint}
        return forgotten(
            [job for job in watched.values() if job.submit_fingerprint in made_here],
            self._denials,
            was_shown=lambda job: job.provider_job_id in self._listed or _has_shown(facts, job),
            margin=self._margin,
            now=self._clock.now(),
        )

    async def _was_restarted(self, lost: list[Job]) -> bool:
        """Return True if the server itself, and its whole listing, confirm a restart."""
        provider, ids = self._leased.provider, {job.provider_job_id or "" for job in lost}
        try:
            if not await provider.forgets_when_restarted():
                return False
            pages = ListingPages(self._leased, self._pause, patient=False)
            complete = await pages.read(lambda read: len(read.entries) > ENTRIES_MAX)
            if not (complete and pages.ended and pages.readable and pages.supported):
                return False
            entries = pages.entries
            known = await self._store.known_entries(
                self._leased.accounts, server_of(provider.fingerprint), list(entries)
            )
            gone_at = first_missed(lost, self._clock.now())
            for entry_id, entry in entries.items():
                ours = known.get(entry_id)
                if is_from_before(entry, ids, ours, gone_at=gone_at, margin=self._margin):
                    log.debug("watch.not_restarted", account=self._leased.id, shows=entry_id)
                    return False
            report = (await provider.get(min(ids))).report
        except ProviderError as error:
            log.debug("watch.not_restarted", account=self._leased.id, error=error.message)
            return False
        return isinstance(report, Missing) and report.own

    async def _end_or_resubmit(self, lost: list[Job]) -> None:
        now = self._clock.now()
        transitions = [self._transition(job, now) for job in lost]
        written = await self._recording.record(transitions, self._leased.lease)
        again = sum(not job.status.terminal for job in written)
        log.warning(
            "watch.restarted",
            account=self._leased.id,
            sent_again=again,
            failed=len(written) - again,
            error="The server was restarted and has lost the jobs that it kept in memory",
        )
        if again:
            self._signals.submit.publish()

    def _transition(self, job: Job, now: Instant) -> Transition:
        # A registered job has no stored request that could be sent again.
        allowed = self._leased.account.resubmit_forgotten and job.submit_fingerprint is not None
        if allowed and job.forgotten < RESUBMITS_MAX:
            return resubmitted(job, now)
        return job.fail("provider_error", MESSAGE, now)


def _has_shown(facts: ListingFacts | None, job: Job) -> bool:
    """Return True if the listing has shown jobs of this server and model to an earlier process."""
    return (
        facts is not None
        and facts.fingerprint == job.submit_fingerprint
        and job.model in facts.models
    )
