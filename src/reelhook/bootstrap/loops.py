"""Builds the loops: those of every process, of each leased account, and of maintenance."""

from collections.abc import Callable
from functools import partial

from reelhook.bootstrap.components import Components
from reelhook.engine.archive.archive import Archive
from reelhook.engine.archive.keeping import Keeping, Removing
from reelhook.engine.archive.posters import Posters
from reelhook.engine.archive.shared import SharedArchive
from reelhook.engine.archive.upkeep import SpoolUpkeep
from reelhook.engine.delivering.deliver import Deliver
from reelhook.engine.delivering.notify import Notify
from reelhook.engine.delivering.redeliver import Redeliver
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.leased_provider import LeasedProvider
from reelhook.engine.leases import Leases
from reelhook.engine.polling.late_checks import LateChecks
from reelhook.engine.polling.watch import Watch
from reelhook.engine.runner import Loop
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.fallback import Fallback
from reelhook.engine.submitting.job_media import JobMedia
from reelhook.engine.submitting.listing_delay import ListingDelay
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.submitting.preparing import Preparing
from reelhook.engine.submitting.resolve import Resolve
from reelhook.engine.submitting.resolved import Retrying
from reelhook.engine.submitting.submit import Submit
from reelhook.engine.upkeep.account_status import AccountStatusPublisher
from reelhook.engine.upkeep.clock_repair import ClockRepair
from reelhook.engine.upkeep.closed_projects import ClosedProjects
from reelhook.engine.upkeep.pause_sync import PauseSync
from reelhook.engine.upkeep.retention import Keep, Retention
from reelhook.engine.upkeep.sweep import Sweep
from reelhook.ports import Lease


def process_loops(parts: Components, leases: Leases) -> tuple[Deliver, PauseSync, ClockRepair]:
    """Return the loops that every working process runs, regardless of its leases."""
    schedule = parts.settings.retry_schedule
    deliver = Deliver(
        parts.store,
        parts.sender,
        parts.signals,
        leases=leases,
        signing=parts.signing,
        schedule=schedule,
        concurrency=parts.settings.endpoint_concurrency,
        emit=parts.emit,
        clock=parts.clock,
        random=parts.random,
    )
    return (
        deliver,
        PauseSync(parts.store, parts.signals, parts.pause, parts.emit),
        ClockRepair(parts.store, schedule, parts.signals, clock=parts.clock),
    )


def account_loops(
    parts: Components,
    leases: Leases,
    calls: PaidCalls,
    account: str,
    lease: Lease,
    archive: SharedArchive | None = None,
) -> list[Loop]:
    """Return the loops of an account under one lease.

    `calls` outlives the lease: the next lease of the account may begin while calls are in flight.
    Without `archive` finished files are not kept.
    """
    leased = _leased_account(parts, leases, account, lease)
    listing = AccountListing(parts.store, leased, parts.clock)
    fallback = _fallback(parts)
    submit = _submit(parts, leases, leased, listing, fallback, calls)
    return [
        submit,
        _preparing(parts, leased),
        AccountStatusPublisher(
            parts.store, lease, leased.health, parts.signals, account=account, clock=parts.clock
        ),
        _resolve(parts, leased, listing, fallback, submit),
        ListingDelay(leased, listing, parts.pause, parts.clock),
        Watch(
            parts.store,
            leased,
            parts.recording,
            parts.signals,
            parts.pause,
            poll_seconds=parts.settings.poll_seconds,
            max_age_hours=parts.settings.max_age_hours,
            emit=parts.emit,
            clock=parts.clock,
        ),
        LateChecks(parts.store, leased, parts.recording, parts.pause, clock=parts.clock),
        *_archive(parts, leased, archive),
    ]


def _preparing(parts: Components, leased: LeasedAccount) -> Preparing:
    of_jobs = JobMedia(
        parts.store,
        parts.accounts.providers,
        parts.objects,
        parts.frames,
        parts.settings.data_dir / "spool",
    )
    return Preparing(
        parts.store,
        leased,
        parts.recording,
        parts.signals,
        parts.fetch,
        of_jobs,
        clock=parts.clock,
    )


def _archive(parts: Components, leased: LeasedAccount, archive: SharedArchive | None) -> list[Loop]:
    if archive is None:
        return []
    return [
        Archive(parts.store, leased, archive, parts.recording, parts.signals, clock=parts.clock)
    ]


def shared_archive(
    parts: Components, busy: Callable[[], bool] = lambda: False
) -> SharedArchive | None:
    """Return the parts of the archive that all accounts of a process share; None: it is off.

    `busy` returns True while many webhooks are being sent.
    """
    if parts.objects is None:
        return None
    folder = parts.settings.data_dir / "spool"
    return SharedArchive.of(parts.objects, folder, parts.signals, parts.clock, busy)


def spool_loops(parts: Components, archive: SharedArchive | None) -> list[Loop]:
    """Return the loops over this machine's spool."""
    if archive is None:
        return []
    upkeep = SpoolUpkeep(
        parts.store, archive.spool, archive.objects, parts.signals, clock=parts.clock
    )
    return [upkeep]


def maintenance_loops(parts: Components, lease: Lease) -> list[Loop]:
    """Return the loops that only one process of an installation runs at a time."""
    return [
        Redeliver(parts.store, parts.signals, clock=parts.clock, lease=lease),
        Notify(
            parts.store,
            parts.sender,
            parts.signing,
            parts.formats.default,
            parts.signals,
            parts.settings.retry_schedule,
            clock=parts.clock,
            random=parts.random,
            lease=lease,
        ),
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
        ClosedProjects(parts.store, parts.signals, clock=parts.clock),
        *_archive_upkeep(parts),
    ]


def _archive_upkeep(parts: Components) -> list[Loop]:
    if parts.objects is None:
        return []
    return [
        Keeping(parts.store, parts.settings.archive_limits, parts.signals, clock=parts.clock),
        Removing(parts.store, parts.objects, parts.signals, clock=parts.clock),
        Posters(
            parts.store,
            parts.objects,
            parts.frames,
            parts.signals,
            folder=parts.settings.data_dir / "spool",
            clock=parts.clock,
        ),
    ]


def _leased_account(parts: Components, leases: Leases, account: str, lease: Lease) -> LeasedAccount:
    providers, catalog = parts.accounts.providers, parts.accounts.catalog
    server = providers[account].server
    return LeasedAccount(
        catalog.accounts[account],
        LeasedProvider(providers[account], partial(leases.good, lease)),
        lease,
        [other for other in catalog.siblings(account) if providers[other].server == server],
    )


def _fallback(parts: Components) -> Fallback:
    return Fallback(
        parts.store,
        parts.accounts.catalog,
        parts.recording,
        parts.signals,
        wait_seconds=parts.settings.fallback_wait_seconds,
        emit=parts.emit,
        clock=parts.clock,
        random=parts.random,
    )


def _submit(
    parts: Components,
    leases: Leases,
    leased: LeasedAccount,
    listing: AccountListing,
    fallback: Fallback,
    calls: PaidCalls,
) -> Submit:
    return Submit(
        parts.store,
        leased,
        parts.recording,
        parts.signals,
        fallback,
        listing,
        takes_overflow_of=parts.accounts.catalog.takes_overflow_of(leased.id),
        calls=calls,
        max_age_hours=parts.settings.max_age_hours,
        may_send=partial(leases.good, leased.lease),
        callback_url=partial(parts.callbacks.url, leased.id),
        file_address=lambda project, file: parts.file_addresses.address(
            project, file, parts.clock.now()
        ),
        emit=parts.emit,
        clock=parts.clock,
        random=parts.random,
    )


def _resolve(
    parts: Components,
    leased: LeasedAccount,
    listing: AccountListing,
    fallback: Fallback,
    submit: Submit,
) -> Resolve:
    settings = parts.settings
    return Resolve(
        parts.store,
        leased,
        parts.recording,
        parts.signals,
        submit,
        listing,
        retrying=Retrying(fallback, settings.submit_retries, settings.submit_settle_seconds),
        clock=parts.clock,
    )
