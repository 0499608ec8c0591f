"""The engine as it runs: real store, real provider adapter, real sender, time in our hand."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from ipaddress import ip_network
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import apsw
from engine_clock import ManualClock
from engine_receiver import Receivers, receivers
from engine_upstream import Upstream, upstream
from migrated_database import prepare
from structlog.testing import capture_logs
from structlog.typing import EventDict

from reelhook.bootstrap.accounts import Accounts
from reelhook.bootstrap.components import Components, build_components
from reelhook.bootstrap.formats import HEADERS, formats_at
from reelhook.bootstrap.gateway import build_gateway
from reelhook.bootstrap.loops import (
    account_loops,
    maintenance_loops,
    process_loops,
    shared_archive,
    spool_loops,
)
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.account_health import AccountHealth
from reelhook.core.payloads import Formats
from reelhook.core.signing import Secrets, Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.domain.schedule import RetrySchedule
from reelhook.doors.compat.embedding import (
    DeliveryFunctions,
    EndpointFunctions,
    JobFunctions,
    OperationFunctions,
)
from reelhook.engine.archive.shared import SharedArchive
from reelhook.engine.leases import LANE_IDS, MAINTENANCE_ID, Leases, account_id
from reelhook.engine.runner import Loop, Runner
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.upkeep.account_status import AccountStatusPublisher
from reelhook.gateway import EndpointFields, Gateway
from reelhook.guard.addresses import AddressPolicy
from reelhook.ports import Lease, MediaFetch, Objects, Sender
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store
from reelhook.webhooks.sender import AiohttpSender

ACCOUNT = "openai"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))


@dataclass(frozen=True)
class Played:
    """An account, the adapter that it is asked by, and where; None: at the stage's provider."""

    account: Account
    kind: type[HttpProvider] = OpenAI
    base_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the engine is set up; `store` makes the store, `sender` is put before the sender."""

    accounts: tuple[Played, ...] = (Played(Account(ACCOUNT, "openai")),)
    fallback_wait_seconds: float = 30.0

    poll_seconds: float = 5.0
    settle_seconds: float = 60.0
    retries: int = 3
    max_age_hours: float = 24.0
    submit_timeout_seconds: float = 5.0
    schedule: RetrySchedule = RetrySchedule()
    concurrency: int = 4
    previous_secret: str | None = None
    overlap_hours: float = 24.0
    archive_keep_days: float = inf
    loops: frozenset[str] = frozenset(
        {
            *("submit", "preparing", "resolve", "listing", "watch", "deliver"),
            *("resend", "sweep", "pause", "account_status"),
        }
    )
    store: Callable[[SQLite], Store] = Store
    sender: Callable[[Sender], Sender] = lambda sender: sender
    objects: Objects | None = None
    shared: Callable[[SharedArchive], SharedArchive] = lambda shared: shared
    seed: int = 1
    fetch: MediaFetch | None = None
    formats: Formats = field(default_factory=lambda: formats_at("http://here/{}/download".format))

    @property
    def settings(self) -> Settings:
        # Copied in unchecked: tests choose values that no operator may.
        return Settings.of().model_copy(
            update={
                "fallback_wait_seconds": self.fallback_wait_seconds,
                "poll_seconds": self.poll_seconds,
                "submit_settle_seconds": self.settle_seconds,
                "submit_retries": self.retries,
                "max_age_hours": self.max_age_hours,
                "submit_timeout_seconds": self.submit_timeout_seconds,
                "retry_schedule": self.schedule,
                "endpoint_concurrency": self.concurrency,
                "secret_overlap_hours": self.overlap_hours,
                "archive_keep_days": self.archive_keep_days,
            }
        )


@dataclass
class Engine:
    """One run of the engine, from its start to its stop.

    `loops` are keyed by name; those of all accounts but the first by `name:account`.
    """

    gateway: Gateway
    service: JobFunctions
    endpoints: EndpointFunctions
    deliveries: DeliveryFunctions
    operations: OperationFunctions
    store: Store
    signals: Signals
    loops: dict[str, Any]
    runner: Runner
    clock: ManualClock | SystemClock
    provider: HttpProvider
    catalog: Catalog
    health: dict[str, AccountHealth]

    async def endpoint(self, url: str, **fields: Any) -> Endpoint:
        """Register an endpoint."""
        return await self.endpoints.register(url, EndpointFields(**fields))  # type: ignore[typeddict-item] # a test names its fields itself

    async def submit(self, script: str, webhook_url: str | None = None, **fields: Any) -> str:
        request = VideoRequest(prompt=script, **{"model": "sora-2", **fields})
        return (await self.service.submit(request, webhook_url)).job_id

    async def register(
        self, ids: Sequence[str], webhook_url: str | None = None, endpoints: Sequence[str] = ()
    ) -> None:
        """Watch these jobs of the provider; ours are called the same."""
        await asyncio.gather(
            *(self.service.register(one, one, webhook_url, endpoints) for one in ids)
        )

    async def job(self, job_id: str) -> Job:
        return (await self.service.job(job_id)).job

    async def jobs(self) -> list[Job]:
        found: list[Job] = []
        cursor: str | None = None
        while True:
            page = await self.service.jobs(None, 1000, cursor)
            found += [one.job for one in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def job_when(self, job_id: str, *statuses: Status) -> Job:
        """Wait until the job has one of these statuses."""

        async def has_one() -> Job | None:
            job = await self.job(job_id)
            return job if job.status in statuses else None

        found = await until(has_one)
        assert isinstance(found, Job)
        return found

    async def all_ended(self, seconds: float = 60) -> list[Job]:
        """Wait until every job has ended."""

        async def ended() -> list[Job] | None:
            jobs = await self.jobs()
            return jobs if all(job.status.terminal for job in jobs) else None

        found = await until(ended, seconds)
        assert isinstance(found, list)
        return found

    def idle(self, *besides: str) -> bool:
        """Whether nothing can happen any more unless time passes, in all loops but these."""
        clock = self.clock
        assert isinstance(clock, ManualClock)
        loops = [loop for name, loop in self.loops.items() if name not in besides]
        return all(len(loop.tasks) == 0 and clock.awaits(loop.signal) for loop in loops)

    def waits_for(self, answers: int) -> bool:
        """Whether nothing can happen any more unless one of that many answers comes."""
        clock, deliver = self.clock, self.loops["deliver"]
        assert isinstance(clock, ManualClock)
        return len(deliver.tasks) == answers and clock.awaits(deliver.signal)

    async def settled(self, *besides: str) -> None:
        """Wait until nothing can happen any more unless time passes."""
        await until(lambda: self.idle(*besides))

    async def pass_time(self, seconds: float, patience_seconds: float = 60) -> None:
        """Let time pass as it does: nobody sleeps over the moment he asked to be woken at.

        Time stands still while anything is under way, but no longer than `patience_seconds`: a
        task may wait for its time to come as well.
        """
        clock = self.clock
        assert isinstance(clock, ManualClock)
        end = clock.now() + round(seconds * 1000)
        while clock.now() < end:
            await until(self.idle, patience_seconds, insist=patience_seconds >= 20)
            due_at = clock.next_due_at
            step = end if due_at is None else min(end, max(due_at, clock.now() + 1))
            clock.advance((step - clock.now()) / 1000)
        await self.settled()


@dataclass
class Stage:
    """A database, a provider and clients, on which engines start and stop."""

    folder: Path
    clock: ManualClock | SystemClock
    upstream: Upstream
    receivers: Receivers
    options: dict[str, Any]
    logs: list[EventDict]

    @property
    def time(self) -> ManualClock:
        assert isinstance(self.clock, ManualClock)
        return self.clock

    @property
    def hook(self) -> str:
        return f"{self.receivers.url}/hook"

    def query(self, statement: str, *parameters: Any) -> list[Any]:
        """Read, or change, what stands in the database.

        By the library that the store uses: a second copy of SQLite in one process, as the standard
        library has it, would take the first one's locks away when it closes the file.
        """
        with closing(apsw.Connection(f"{self.folder}/reelhook.db")) as database:
            database.set_busy_timeout(5000)
            return database.execute(statement, parameters).fetchall()

    @asynccontextmanager
    async def engine(self, *, base_url: str | None = None, **options: Any) -> AsyncIterator[Engine]:
        """Run an engine until the block ends. A later one finds what an earlier one left."""
        chosen = Options(**{**self.options, **options})
        async with engine(
            self.folder, base_url or self.upstream.url, self.clock, chosen
        ) as running:
            yield running


@asynccontextmanager
async def stage(folder: Path, *, real_time: bool = False, **options: Any) -> AsyncIterator[Stage]:
    """Set up everything around the engine. With `real_time` the system's clock runs."""
    clock = SystemClock() if real_time else ManualClock()
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(upstream(lambda: clock.now() / 1000))
        clients = await stack.enter_async_context(receivers())
        logs = stack.enter_context(capture_logs())
        yield Stage(folder, clock, provider, clients, options, logs)


@asynccontextmanager
async def engine(
    folder: Path, base_url: str, clock: ManualClock | SystemClock, options: Options
) -> AsyncIterator[Engine]:
    path = folder / "reelhook.db"
    prepare(path)
    async with AsyncExitStack() as stack:
        database = SQLite(path)
        stack.push_async_callback(database.close)
        providers = {
            one.account.id: await stack.enter_async_context(
                one.kind(
                    one.base_url or base_url,
                    submit_timeout_seconds=options.submit_timeout_seconds,
                    now=lambda: clock.now() / 1000,
                )
            )
            for one in options.accounts
        }
        sender = await stack.enter_async_context(AiohttpSender(LOOPBACK, now=clock.now))
        running = await _engine(
            options.store(database), providers, options.sender(sender), clock, options, folder
        )
        running.runner.start()
        try:
            yield running
        finally:
            running.service.stop_waiting()
            await running.runner.stop(0.0)


async def _engine(
    store: Store,
    providers: Mapping[str, HttpProvider],
    sender: Sender,
    clock: ManualClock | SystemClock,
    options: Options,
    folder: Path,
) -> Engine:
    models = {one.account.provider: providers[one.account.id].models for one in options.accounts}
    catalog = Catalog([one.account for one in options.accounts], models, {})
    parts = build_components(
        options.settings.model_copy(update={"data_dir": folder}),
        store=store,
        accounts=Accounts(providers, catalog),
        sender=sender,
        signing=Signing(
            Secrets(SECRET, options.previous_secret),
            user_agent="reelhook/test",
            headers_of=HEADERS,
        ),
        formats=options.formats,
        fetch=options.fetch,
        objects=options.objects,
        clock=clock,
        random=Random(options.seed),
    )
    shared = shared_archive(parts)
    every = await _loops(parts, None if shared is None else options.shared(shared))
    loops = {name: loop for name, loop in every.items() if loop.name in options.loops}
    publishers = [loop for loop in every.values() if isinstance(loop, AccountStatusPublisher)]
    gateway = build_gateway(parts)
    return Engine(
        gateway,
        JobFunctions(gateway),
        EndpointFunctions(gateway),
        DeliveryFunctions(gateway),
        OperationFunctions(gateway),
        store,
        parts.signals,
        loops,
        Runner(list(loops.values()), clock),
        clock,
        providers[options.accounts[0].account.id],
        catalog,
        {one.account: one.health for one in publishers},
    )


async def _loops(parts: Components, shared: SharedArchive | None) -> dict[str, Loop]:
    """Lease everything, and return all loops by name; see `Engine`."""
    accounts = list(parts.accounts.providers)
    await parts.store.free_leases()
    leases = Leases()
    for ids in (LANE_IDS, [MAINTENANCE_ID], [account_id(account) for account in accounts]):
        leases.keep(ids, (await parts.store.heartbeat("test", ids, 10**9))[0], inf)

    def lease(lease_id: str) -> Lease:
        found = leases.of(lease_id)
        assert found is not None
        return found

    loops: dict[str, Loop] = {}
    for account in accounts:
        suffix = "" if account == accounts[0] else f":{account}"
        held = lease(account_id(account))
        for loop in account_loops(parts, leases, PaidCalls(), account, held, shared):
            loops[loop.name + suffix] = loop
    others: list[Loop] = [
        *process_loops(parts, leases),
        *maintenance_loops(parts, lease(MAINTENANCE_ID)),
        *spool_loops(parts, shared),
    ]
    return loops | {loop.name: loop for loop in others}


async def until(
    condition: Callable[[], Any | Awaitable[Any]], seconds: float = 60, *, insist: bool = True
) -> Any:
    """Wait until the condition holds; return its value. Without `insist` it may never hold."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                value = condition()
                if inspect.isawaitable(value):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(0.002)
    except TimeoutError:
        if insist:
            raise
    return None
