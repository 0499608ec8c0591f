"""The operator's use cases: statistics, costs, pausing, and whether the database works."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reelhook.core.wakeups import Signals
from reelhook.domain.account_status import HEALTHY
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.domain.event import Instant
from reelhook.domain.price import Price
from reelhook.domain.waiting import Waiting
from reelhook.domain.worker import WorkerLeases
from reelhook.ports import (
    AccountLoad,
    AccountRecord,
    Clock,
    CostLine,
    OperationsStore,
    RefusedJob,
)

PROBE_VALID_MILLISECONDS = 5000
"""The validity of a probe of the database: health checks may come many times a second."""
PROBE_SECONDS_MAX = 3.0
_UNKNOWN = AccountRecord(HEALTHY, None)


@dataclass(frozen=True, slots=True)
class WatcherStats:
    """The watcher: the start of its pause, its interval, and the end of its last round."""

    paused_since: Instant | None
    poll_seconds: float
    last_round_at: Instant | None


@dataclass(frozen=True, slots=True)
class AccountStats:
    """One account: its load and its status.

    `jobs_max` None: no limit. `error`: the provider's message if it refuses the account's key.
    `stretched_seconds`: the last interval between two rounds, if it was longer than configured.
    `reads_wait_until`, `creates_wait_until`: the ends of the pauses that the provider asked for.
    `refused`: the job whose create was refused last. `unread`: the reason why reads fail.
    """

    id: str
    provider: str
    waiting: int
    in_flight: int
    jobs_max: int | None
    error: str | None
    stretched_seconds: float | None
    reads_wait_until: Instant | None
    creates_wait_until: Instant | None
    refused: RefusedJob | None
    unread: Waiting | None

    @property
    def healthy(self) -> bool:
        """True if the provider does not refuse the account's key."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Stats:
    """The statistics of an installation, or of one project. Some count by status.

    `watcher` and `accounts` belong to the installation; None in the statistics of a project.
    """

    jobs: Mapping[str, int]
    deliveries_waiting: int
    endpoints: Mapping[str, int]
    watcher: WatcherStats | None = None
    accounts: tuple[AccountStats, ...] | None = None

    @property
    def jobs_total(self) -> int:
        """The number of all jobs."""
        return sum(self.jobs.values())


class Operations:
    """The operator's view of an installation. `poll_seconds` is the watcher's interval."""

    def __init__(
        self,
        store: OperationsStore,
        catalog: Catalog,
        signals: Signals,
        *,
        poll_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._signals = signals
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._written_at = -PROBE_VALID_MILLISECONDS

    async def stats(self, caller: Caller) -> Stats:
        """Return counts of jobs, deliveries and endpoints.

        Those of the installation include the state of the watcher and of the accounts. A caller
        that sees one project gets the counts of its project.
        """
        caller.require(Scope.OPERATOR if caller.sees is None else Scope.READ)
        project = caller.sees
        stats = Stats(
            jobs=await self._store.counts(project),
            deliveries_waiting=await self._store.deliveries_waiting(project),
            endpoints=await self._store.endpoint_counts(project=project),
        )
        if project is not None:
            return stats
        watcher, accounts = await self.accounts(caller)
        return replace(stats, watcher=watcher, accounts=accounts)

    async def accounts(self, caller: Caller) -> tuple[WatcherStats, tuple[AccountStats, ...]]:
        """Return the state of the watcher and of the accounts, without counts of all jobs."""
        caller.require(Scope.OPERATOR)
        records = await self._store.account_records()
        loads = await self._store.account_loads()
        accounts = self._catalog.accounts
        rounds = [records.get(account, _UNKNOWN).last_round_at for account in accounts]
        watcher = WatcherStats(
            paused_since=await self._store.watching_paused_since(),
            poll_seconds=self._poll_seconds,
            last_round_at=max((at for at in rounds if at is not None), default=None),
        )
        return watcher, tuple(
            self._account(account, loads, records.get(account.id, _UNKNOWN))
            for account in accounts.values()
        )

    def _account(
        self, account: Account, loads: Mapping[str, AccountLoad], record: AccountRecord
    ) -> AccountStats:
        load, status, now = loads.get(account.id, AccountLoad()), record.status, self._clock.now()
        stretched = status.stretched_milliseconds
        return AccountStats(
            id=account.id,
            provider=account.provider,
            waiting=load.waiting,
            in_flight=load.in_flight,
            jobs_max=account.jobs_max,
            error=status.unauthorized,
            stretched_seconds=None if stretched is None else stretched / 1000,
            reads_wait_until=_if_ahead(status.reads_wait_until, now),
            creates_wait_until=_if_ahead(status.creates_wait_until, now),
            refused=load.refused,
            unread=status.reads,
        )

    async def workers(self, caller: Caller) -> Sequence[WorkerLeases]:
        """Return the workers with their leases, and the leases that nobody holds."""
        caller.require(Scope.OPERATOR)
        return await self._store.workers()

    async def costs(self, caller: Caller, since: Instant, until: Instant) -> list[CostLine]:
        """Return the costs of the jobs created in this period, by day, project, model and unit."""
        caller.require(Scope.READ)
        lines = await self._store.costs(since, until, caller.sees)
        return [replace(line, rate=self._rate(line)) for line in lines]

    def _rate(self, line: CostLine) -> Price | None:
        unit = line.unit
        return None if unit is None else self._catalog.rate(line.provider, line.model, unit)

    # -- pausing ------------------------------------------------------------------------------

    async def pause_watching(self, caller: Caller) -> None:
        """Stop polling providers, in every process and through restarts, until resumed."""
        caller.require(Scope.OPERATOR)
        entry = self._entry(caller, Action.WATCHER_PAUSED)
        await self._store.pause_watching(entry.at, entry)
        self._signals.pause.publish()

    async def resume_watching(self, caller: Caller) -> None:
        """Poll providers again, at once."""
        caller.require(Scope.OPERATOR)
        await self._store.resume_watching(self._entry(caller, Action.WATCHER_RESUMED))
        self._signals.pause.publish()

    def _entry(self, caller: Caller, action: Action) -> AuditEntry:
        return AuditEntry.by(caller, self._clock.now(), action, "watcher", None)

    # -- readiness: open to anyone ------------------------------------------------------------

    async def watching_paused_since(self, caller: Caller) -> Instant | None:
        """Return the time since which watching is paused, or None. Raises `StoreError`."""
        return await self._store.watching_paused_since()

    async def check_writable(self, caller: Caller) -> None:
        """Raise `StoreError` unless the database was writable seconds ago, or is now."""
        if 0 <= self._clock.now() - self._written_at < PROBE_VALID_MILLISECONDS:
            return
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                await self._store.probe()
        except (CommitUnknownError, TimeoutError):
            raise StoreError("The database did not confirm a test write in time") from None
        self._written_at = self._clock.now()


def _if_ahead(at: Instant | None, now: Instant) -> Instant | None:
    return at if at is not None and at > now else None
