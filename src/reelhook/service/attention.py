"""The use case "why is it not done?": the causes that hold up jobs, webhooks and files.

The domain decides the causes. Their facts are read at a cost that does not grow with the number of
jobs: the oldest jobs of each account, and counts up to a limit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.budget_usage import usage
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.causes.accounts import (
    AccountState,
    Installation,
    causes_of_all,
    causes_of_waiting,
    causes_of_watched,
    paused,
    slow_store,
)
from reelhook.domain.causes.budgets import causes_of_budget
from reelhook.domain.causes.cause import Cause, CauseName, HeldUp, Thing
from reelhook.domain.causes.grouping import Grouping
from reelhook.domain.causes.jobs import (
    EXPIRING_MILLISECONDS,
    JobState,
    archive_paused,
    causes_of_file,
    causes_of_job,
)
from reelhook.domain.causes.webhooks import cause_of_receiver, cause_of_webhook
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.ports import (
    ALL_JOBS,
    AttentionStore,
    Clock,
    HeldReceiver,
    JobFilter,
    JobsOfKind,
    JobStore,
)
from reelhook.service.cause_facts import CACHE_MILLISECONDS, CauseFacts, SharedFacts
from reelhook.service.held_jobs import HeldJobs, held_jobs
from reelhook.service.job_filters import seen_by

PROJECTS_CACHED_MAX = 1000
_OF_INSTALLATION = frozenset({CauseName.PAUSED, CauseName.STORE_SLOW, CauseName.NO_WORKER})
"""Causes that everybody sees, whether or not they hold up anything."""


class CausesStore(AttentionStore, JobStore, Protocol):
    """Reads what is held up, and the jobs themselves."""


class Attention:
    """The causes, over one store."""

    def __init__(self, store: CausesStore, facts: CauseFacts, clock: Clock) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._cache: dict[tuple[str | None, bool], tuple[Instant, tuple[HeldUp, ...]]] = {}

    async def all(self, caller: Caller) -> tuple[HeldUp, ...]:
        """Return all causes with what they hold up, the most harmful first.

        A caller that sees one project gets its causes, and those of the installation. They are at
        most a second old. Raises `StoreError`.
        """
        caller.require(Scope.READ)
        key, now = (caller.sees, caller.allows(Scope.OPERATOR)), self._clock.now()
        read_at, rows = self._cache.get(key, (0, ()))
        if not read_at or not 0 <= now - read_at < CACHE_MILLISECONDS:
            rows = await self._read(caller)
            if len(self._cache) >= PROJECTS_CACHED_MAX:
                self._cache.clear()
            self._cache[key] = (now, rows)
        return rows

    async def of_job(self, caller: Caller, job: Job, *, webhooks_held: bool = True) -> Cause | None:
        """Return the most telling cause that holds up a job; None: nothing does."""
        found = await self.causes_of_jobs(caller, [job], webhooks_held=webhooks_held)
        return next(iter(found.get(job.id, ())), None)

    async def of_jobs(self, caller: Caller, jobs: Sequence[Job]) -> dict[str, Cause]:
        """Return the most telling cause of each job that one holds up. Raises `StoreError`."""
        found = await self.causes_of_jobs(caller, jobs)
        return {job_id: causes[0] for job_id, causes in found.items() if causes}

    async def causes_of_jobs(
        self, caller: Caller, jobs: Sequence[Job], *, webhooks_held: bool = True
    ) -> dict[str, tuple[Cause, ...]]:
        """Return all causes that hold up each of these jobs, the most telling one first.

        `webhooks_held` False: it is known that none of their webhooks waits or has failed.
        """
        caller.require(Scope.READ)
        seen = [job for job in jobs if caller.may_see(job.project)]
        if not seen:
            return {}
        shared = await self._facts.shared()
        ids = [job.id for job in seen]
        webhooks = await self._store.webhooks_of_jobs(ids) if webhooks_held else {}
        files: Mapping[str, ArchivedFile] = {}
        if shared.installation.archiving:
            ended = [job.id for job in seen if job.status is Status.COMPLETED]
            files = await self._store.files_of_jobs(ended) if ended else {}
        accounts: dict[str, AccountState] = {}
        for name in {job.account for job in seen}:
            of_account = [job for job in seen if job.account == name]
            accounts[name] = await self._facts.with_slow_models(shared.account(name), of_account)
        states = [
            JobState(
                job,
                accounts[job.account],
                webhooks=tuple(webhooks.get(job.id, ())),
                file=files.get(job.id),
            )
            for job in seen
        ]
        if len(states) == 1 and states[0].account.full and seen[0].status is Status.ACCEPTED:
            states = [replace(states[0], ahead=await self._store.jobs_ahead(seen[0]))]
        return {
            state.job.id: _shown(caller, causes_of_job(shared.installation, state))
            for state in states
        }

    async def jobs(
        self,
        caller: Caller,
        cause: CauseName,
        wanted: JobFilter = ALL_JOBS,
        limit: int = 50,
        cursor: str | None = None,
    ) -> HeldJobs:
        """Return a page of the jobs that a cause holds up, newest first, with that cause of each.

        Raises `InvalidRequestError` for a filter that no job can match, or a bad cursor.
        """
        caller.require(Scope.READ)
        wanted = seen_by(caller, wanted)

        async def causes_of(jobs: Sequence[Job]) -> Mapping[str, tuple[Cause, ...]]:
            return await self.causes_of_jobs(caller, jobs)

        return await held_jobs(self._store, causes_of, cause, wanted, limit, cursor)

    # -- all causes ---------------------------------------------------------------------------

    async def _read(self, caller: Caller) -> tuple[HeldUp, ...]:
        shared, project = await self._facts.shared(), caller.sees
        grouping = Grouping()
        self._add_installation(grouping, caller, shared)
        for kind in await self._store.unfinished_jobs(list(shared.accounts), project):
            await self._add_jobs(grouping, shared, kind)
        unresolved = await self._store.jobs_unresolved(project)
        self._add_each(grouping, shared.installation, unresolved, AccountState("", ""))
        for held in await self._store.held_receivers(project):
            _add_receiver(grouping, held, shared.installation.attempts_max)
        failed = await self._store.exhausted_webhooks(project)
        for webhook in failed.webhooks:
            cause = cause_of_webhook(webhook, shared.installation.attempts_max)
            if cause is not None:
                of_job = replace(cause, job_id=webhook.job_id)
                grouping.add(of_job, Thing.WEBHOOKS, more=failed.more)
        await self._add_budgets(grouping, shared.installation.now, project)
        if shared.installation.archiving:
            await self._add_files(grouping, shared, project)
        rows = grouping.rows()
        if caller.allows(Scope.OPERATOR):
            return rows
        return tuple(replace(row, cause=row.cause.public()) for row in rows)

    def _add_installation(self, grouping: Grouping, caller: Caller, shared: SharedFacts) -> None:
        """Add the causes that are shown even if they hold up no job."""
        installation = shared.installation
        if installation.paused_since is not None:
            grouping.add(paused(installation.paused_since), count=0)
        if installation.slow_store is not None:
            grouping.add(slow_store(installation.slow_store), count=None)
        if installation.archive_pause is not None:
            grouping.add(archive_paused(installation.archive_pause), Thing.FILES, count=None)
        for account in shared.accounts.values():
            for cause in causes_of_all(installation, account) if account.configured else ():
                if cause.name is CauseName.STORE_SLOW:
                    continue
                if cause.name in _OF_INSTALLATION or caller.sees is None:
                    grouping.add(cause, count=0)

    async def _add_jobs(self, grouping: Grouping, shared: SharedFacts, kind: JobsOfKind) -> None:
        """Add what holds up all jobs of one kind at an account, then what holds up single ones."""
        account = await self._facts.with_slow_models(shared.account(kind.account), kind.jobs)
        first = kind.jobs[0].status
        if first.watched:
            of_kind = causes_of_watched(shared.installation, account)
        elif first is Status.ACCEPTED:
            of_kind = causes_of_waiting(shared.installation, account)
        else:
            of_kind = causes_of_all(shared.installation, account)
        wide = tuple(of_kind)
        for cause in wide:
            if cause.name is CauseName.STORE_SLOW:
                continue
            grouping.add(cause, count=kind.count, more=kind.more)
            grouping.name(cause, (job.id for job in kind.jobs))
        known = frozenset(cause.name for cause in wide)
        self._add_each(grouping, shared.installation, kind, account, known)

    def _add_each(
        self,
        grouping: Grouping,
        installation: Installation,
        kind: JobsOfKind,
        account: AccountState,
        known: frozenset[CauseName] = frozenset(),
    ) -> None:
        """Add the causes of single jobs. If all that were read share one, it is that of all."""
        causes = [
            cause
            for job in kind.jobs
            for cause in causes_of_job(installation, JobState(job, account), known)
        ]
        partial = kind.count > len(kind.jobs) or kind.more
        for name in {cause.name for cause in causes}:
            of_name = [cause for cause in causes if cause.name is name]
            for cause in of_name:
                grouping.add(cause, more=partial)
            if partial and len(of_name) == len(kind.jobs):
                rest = kind.count - len(kind.jobs)
                grouping.add(replace(of_name[0], job_id=None), count=rest, more=kind.more)

    async def _add_budgets(self, grouping: Grouping, now: Instant, project: str | None) -> None:
        for reached in await self._store.budgets_in_use(now, project):
            budget = reached.state.budget
            lines = usage(budget.at(now), reached.state.sums, now)
            for cause in causes_of_budget(budget.owner, reached.project, lines, reached.reached):
                grouping.add(cause, count=None)

    async def _add_files(
        self, grouping: Grouping, shared: SharedFacts, project: str | None
    ) -> None:
        installation = shared.installation
        before = installation.now + EXPIRING_MILLISECONDS
        accounts = list(shared.accounts)
        for file in await self._store.expiring_files(accounts, before, project):
            for cause in causes_of_file(installation, file):
                if cause.name is CauseName.EXPIRING:
                    grouping.add(cause, Thing.FILES)


def _add_receiver(grouping: Grouping, held: HeldReceiver, attempts_max: int) -> None:
    """Add what holds up an endpoint, or else what holds up single webhooks there."""
    last = held.webhooks[0].response if held.webhooks else None
    cause = cause_of_receiver(held.receiver, last)
    if cause is not None:
        if held.count or cause.name is not CauseName.ENDPOINT_DISABLED:
            grouping.add(cause, Thing.WEBHOOKS, held.count, more=held.more)
        return
    for webhook in held.webhooks:
        of_webhook = cause_of_webhook(webhook, attempts_max)
        if of_webhook is not None:
            grouping.add(replace(of_webhook, job_id=webhook.job_id), Thing.WEBHOOKS, more=held.more)


def _shown(caller: Caller, causes: Iterable[Cause]) -> tuple[Cause, ...]:
    if caller.allows(Scope.OPERATOR):
        return tuple(causes)
    return tuple(cause.public() for cause in causes)
