"""Building the worker: the loops of what it holds, and the one that delivers."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from random import Random

import structlog

from reelhook.bootstrap.accounts import Accounts
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.facts import Emit
from reelhook.core.pause import WatchingPause
from reelhook.core.payloads import PayloadFormat
from reelhook.core.recording import Recording
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.engine.delivering.deliver import Deliver
from reelhook.engine.delivering.redeliver import Redeliver
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.leased_provider import LeasedProvider
from reelhook.engine.leases import MAINTENANCE_ID, Leases, account_id
from reelhook.engine.polling.watch import Watch
from reelhook.engine.runner import Loop, Runner
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.fallback import Fallback
from reelhook.engine.submitting.listing_delay import ListingDelay
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.submitting.resolve import Resolve
from reelhook.engine.submitting.resolved import Retrying
from reelhook.engine.submitting.submit import Submit
from reelhook.engine.upkeep.account_status import AccountStatusPublisher
from reelhook.engine.upkeep.clock_repair import ClockRepair
from reelhook.engine.upkeep.pause_sync import PauseSync
from reelhook.engine.upkeep.retention import Keep, Retention
from reelhook.engine.upkeep.sweep import Sweep
from reelhook.engine.worker import Worker, WorkerIdentity
from reelhook.ports import Lease, Sender
from reelhook.storage.store import Store

log = structlog.get_logger()
LOOK_SECONDS = 1.0
"""How often the store is looked at where other processes write to it too."""


@dataclass(frozen=True, slots=True)
class Components:
    """What use cases and loops are put together from."""

    settings: Settings
    store: Store
    accounts: Accounts
    callbacks: CallbackAddresses
    sender: Sender
    signing: Signing
    payload: PayloadFormat
    recording: Recording
    signals: Signals
    pause: WatchingPause
    emit: Emit
    clock: SystemClock
    random: Random


@contextlib.asynccontextmanager
async def working(parts: Components, sharing: WorkerIdentity) -> AsyncIterator[None]:
    """Work until the block ends."""
    leases = Leases()
    deliver = _deliver(parts, leases)
    alone = sharing.lease_seconds is None
    schedule = parts.settings.retry_schedule
    loops: list[Loop] = [
        deliver,
        PauseSync(parts.store, parts.signals, parts.pause, parts.emit),
        ClockRepair(parts.store, schedule, parts.signals, clock=parts.clock),
    ]
    runner = Runner(loops, parts.clock, look_seconds=None if alone else LOOK_SECONDS)
    worker = Worker(
        parts.store,
        leases,
        runner,
        {
            **{
                # One lease of an account may follow another while calls are in flight.
                account_id(account): partial(_account_loops, parts, leases, account, PaidCalls())
                for account in parts.accounts.providers
            },
            MAINTENANCE_ID: lambda lease: _chores(parts, lease),
        },
        deliver.is_busy,
        sharing,
        changed=parts.signals.leases,
        emit=parts.emit,
        clock=parts.clock,
    )
    log.info("Starting Sora API polling service...", emoji="🔍")
    runner.start()
    await worker.start()
    interval = round(parts.settings.poll_seconds * 1000)
    log.info(f"Sora polling service started (interval: {interval}ms)", emoji="✅")
    try:
        yield
    finally:
        await worker.stop()
        log.info("Sora polling service stopped", emoji="⏹️")


def _deliver(parts: Components, leases: Leases) -> Deliver:
    return Deliver(
        parts.store,
        parts.sender,
        parts.signals,
        leases=leases,
        signing=parts.signing,
        schedule=parts.settings.retry_schedule,
        concurrency=parts.settings.endpoint_concurrency,
        emit=parts.emit,
        clock=parts.clock,
        random=parts.random,
    )


def _account_loops(
    parts: Components, leases: Leases, account: str, calls: PaidCalls, lease: Lease
) -> list[Loop]:
    settings, store, catalog = parts.settings, parts.store, parts.accounts.catalog
    recording, signals, clock = parts.recording, parts.signals, parts.clock

    def may_go_on() -> bool:
        return leases.good(lease)

    provider = LeasedProvider(parts.accounts.providers[account], may_go_on)
    sharing = [one for one in catalog.siblings(account) if _same_server(parts, one, account)]
    held = LeasedAccount(catalog.accounts[account], provider, lease, sharing)
    listing = AccountListing(store, held, clock)
    shared = (recording, signals)
    fallback = Fallback(
        catalog,
        recording,
        signals,
        wait_seconds=settings.fallback_wait_seconds,
        emit=parts.emit,
        clock=clock,
        random=parts.random,
    )
    submit = Submit(
        store,
        held,
        *shared,
        fallback,
        listing,
        takes_overflow_of=catalog.takes_overflow_of(account),
        calls=calls,
        max_age_hours=settings.max_age_hours,
        may_send=may_go_on,
        callback_url=partial(parts.callbacks.url, account),
        emit=parts.emit,
        clock=clock,
        random=parts.random,
    )
    return [
        submit,
        AccountStatusPublisher(store, lease, held.health, account=account),
        Resolve(
            store,
            held,
            *shared,
            submit,
            listing,
            retrying=Retrying(fallback, settings.submit_retries, settings.submit_settle_seconds),
            clock=clock,
        ),
        ListingDelay(held, listing, parts.pause, clock),
        Watch(
            store,
            held,
            *shared,
            parts.pause,
            poll_seconds=settings.poll_seconds,
            max_age_hours=settings.max_age_hours,
            emit=parts.emit,
            clock=clock,
        ),
    ]


def _same_server(parts: Components, one: str, other: str) -> bool:
    providers = parts.accounts.providers
    return providers[one].server == providers[other].server


def _chores(parts: Components, lease: Lease) -> list[Loop]:
    return [
        Redeliver(parts.store, parts.signals, clock=parts.clock, lease=lease),
        Sweep(
            parts.store,
            lease,
            parts.recording,
            parts.signals,
            parts.pause,
            max_age_hours=parts.settings.max_age_hours,
            call_seconds=2 * parts.settings.submit_timeout_seconds,
            clock=parts.clock,
        ),
        Retention(
            parts.store,
            Keep(parts.settings.keep_jobs_days, parts.settings.keep_attempts_days),
            parts.signals,
            clock=parts.clock,
        ),
    ]
