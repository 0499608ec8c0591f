"""The facts that all jobs share, from which causes are decided: read once a second at most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reelhook.domain.account_status import HEALTHY
from reelhook.domain.archive_pause import ArchivePause
from reelhook.domain.catalog import Catalog
from reelhook.domain.causes.accounts import AccountState, Installation, Leased, SlowStore
from reelhook.domain.causes.jobs import SLOW_MILLISECONDS_MIN, slow_after
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.ports import AccountRecord, AttentionStore, Clock, SharedState

CACHE_MILLISECONDS = 1000
"""The time for which facts are reused: many clients poll the status of their jobs."""
RENDERS_READ = 100
RENDERS_VALID_MILLISECONDS = 60_000
MODELS_READ_MAX = 20
"""The most models whose render times are read at once."""
_UNKNOWN = AccountRecord(HEALTHY, None)


@dataclass(frozen=True, slots=True)
class CauseSettings:
    """The settings that causes depend on. `archiving`: there is an archive."""

    poll_seconds: float
    hours_max: float
    settle_seconds: float
    attempts_max: int
    archiving: bool = False


@dataclass(frozen=True, slots=True)
class SharedFacts:
    """The state of the installation and of its accounts, also of those that were removed."""

    installation: Installation
    accounts: Mapping[str, AccountState]

    def account(self, name: str) -> AccountState:
        """Return the state of an account; of an unknown one, that it is not configured."""
        return self.accounts.get(name) or AccountState(name, configured=False)


class CauseFacts:
    """Reads the facts that all jobs share."""

    def __init__(
        self, store: AttentionStore, catalog: Catalog, settings: CauseSettings, clock: Clock
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._read: tuple[Instant, SharedState, frozenset[str]] | None = None
        self._renders: dict[str, tuple[Instant, int]] = {}

    async def shared(self) -> SharedFacts:
        """Return the facts, as they were at most a second ago. Raises `StoreError`."""
        now = self._clock.now()
        read = self._read
        if read is None or not 0 <= now - read[0] < CACHE_MILLISECONDS:
            accounts = self._catalog.accounts.values()
            limits = {one.id: one.jobs_max for one in accounts if one.jobs_max is not None}
            full = await self._store.accounts_full(limits) if limits else frozenset[str]()
            read = self._read = (now, await self._store.shared_state(), full)
        return self._facts(now, read[1], read[2])

    async def with_slow_models(self, account: AccountState, jobs: Iterable[Job]) -> AccountState:
        """Return an account with the usual times of those models whose jobs have not changed."""
        now = self._clock.now()
        still = {
            job.model
            for job in jobs
            if job.status.watched and now - job.updated_at > SLOW_MILLISECONDS_MIN
        }
        if not still:
            return account
        times = {
            model: await self._slow_after(model, now) for model in sorted(still)[:MODELS_READ_MAX]
        }
        return replace(account, slow_after=times)

    async def _slow_after(self, model: str, now: Instant) -> int:
        read_at, time = self._renders.get(model, (0, 0))
        if not time or not 0 <= now - read_at < RENDERS_VALID_MILLISECONDS:
            time = slow_after(list(await self._store.render_times(model, RENDERS_READ)))
            self._renders[model] = (now, time)
        return time

    def _facts(self, now: Instant, state: SharedState, full: frozenset[str]) -> SharedFacts:
        settings, slow = self._settings, self._store.slow_writes
        configured = self._catalog.accounts
        leases = {name: state.leases.get(name, Leased(held=False)) for name in configured}
        installation = Installation(
            now=now,
            hours_max=settings.hours_max,
            poll_milliseconds=round(settings.poll_seconds * 1000),
            settle_milliseconds=round(settings.settle_seconds * 1000),
            attempts_max=settings.attempts_max,
            paused_since=state.paused_since,
            slow_store=None
            if slow is None
            else SlowStore(now - round(slow.since_seconds * 1000), slow.longest_seconds),
            any_worker=any(lease.held for lease in leases.values()),
            archiving=settings.archiving,
            archive_pause=self._archive_pause(state) if settings.archiving else None,
        )
        known = dict.fromkeys((*configured, *state.leases, *state.records))
        accounts = {name: self._account(name, state, full=name in full) for name in known}
        return SharedFacts(installation, accounts)

    def _archive_pause(self, state: SharedState) -> ArchivePause | None:
        """Return the pause of the archive that began first: each worker has its own disk."""
        records = [state.records.get(name, _UNKNOWN) for name in self._catalog.accounts]
        pauses = [record.status.archive for record in records]
        return min(
            (pause for pause in pauses if pause is not None),
            key=lambda pause: pause.since,
            default=None,
        )

    def _account(self, name: str, state: SharedState, *, full: bool) -> AccountState:
        record, account = state.records.get(name, _UNKNOWN), self._catalog.accounts.get(name)
        return AccountState(
            id=name,
            configured=account is not None,
            lease=state.leases.get(name, Leased(held=False)),
            status=HEALTHY if account is None else record.status,
            last_round_at=record.last_round_at,
            jobs_max=None if account is None else account.jobs_max,
            full=full,
        )
