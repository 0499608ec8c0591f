"""The causes of an account and of the installation, which hold up all of its jobs."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from reelhook.domain.account_status import HEALTHY, AccountStatus
from reelhook.domain.archive_pause import ArchivePause
from reelhook.domain.causes.cause import Cause, CauseName, Remedy
from reelhook.domain.event import Instant

_RESPONSE = frozenset({"response"})


@dataclass(frozen=True, slots=True)
class Leased:
    """The lease on an account. `ended_at` is the time at which it ended; None: not known."""

    held: bool = True
    ended_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class SlowStore:
    """The database's slow writes: since when, and the seconds that the slowest of them took."""

    since: Instant
    seconds: float


@dataclass(frozen=True, slots=True)
class Installation:
    """The state of an installation that its jobs share.

    `hours_max` and `settle_milliseconds` are the greatest age of a job and the settle time of a
    create in doubt. `attempts_max` is the number of attempts of a webhook. `slow_store` is None
    while writes are fast. `any_worker`: some process works. `archiving`: there is an archive.
    """

    now: Instant
    hours_max: float
    poll_milliseconds: int
    settle_milliseconds: int
    attempts_max: int
    paused_since: Instant | None = None
    slow_store: SlowStore | None = None
    any_worker: bool = True
    archiving: bool = False
    archive_pause: ArchivePause | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """The state of an account.

    `configured`: this process has it. `full`: it has `jobs_max` jobs at its provider. `slow_after`
    has, by model, the milliseconds without a change after which its provider counts as slow.
    """

    id: str
    provider: str = ""
    configured: bool = True
    lease: Leased = Leased()
    status: AccountStatus = HEALTHY
    last_round_at: Instant | None = None
    jobs_max: int | None = None
    full: bool = False
    slow_after: dict[str, int] = field(default_factory=dict, hash=False)


def causes_of_all(installation: Installation, account: AccountState) -> Iterator[Cause]:
    """Yield the causes that hold up every unfinished job of an account."""
    if installation.slow_store is not None:
        yield slow_store(installation.slow_store)
    if not account.configured or not account.lease.held:
        alone = account.configured and installation.any_worker
        yield Cause(
            CauseName.NO_WORKER,
            Remedy.START_WORKER,
            since=account.lease.ended_at or account.last_round_at,
            about=account.id if alone or not account.configured else None,
            variant=None if alone else "all" if account.configured else "removed",
            facts={"account": account.id},
        )
    if account.status.unauthorized is not None:
        yield Cause(
            CauseName.ACCOUNT_REFUSED,
            Remedy.FIX_KEY,
            since=account.status.unauthorized_since,
            about=account.id,
            facts={"account": account.id, "response": account.status.unauthorized},
            private=_RESPONSE,
        )


def causes_of_watched(installation: Installation, account: AccountState) -> Iterator[Cause]:
    """Yield the causes that hold up every job that the account's provider has."""
    if installation.paused_since is not None:
        yield paused(installation.paused_since)
    yield from causes_of_all(installation, account)
    if account.status.unauthorized is not None:
        return
    yield from _unread(installation, account)
    if account.status.stretched_milliseconds is not None:
        yield Cause(
            CauseName.ROUND_STRETCHED,
            Remedy.RAISE_LIMIT,
            since=account.status.stretched_since,
            about=account.id,
            facts={
                "account": account.id,
                "seconds": account.status.stretched_milliseconds / 1000,
                "wanted_seconds": installation.poll_milliseconds / 1000,
            },
        )


def causes_of_waiting(installation: Installation, account: AccountState) -> Iterator[Cause]:
    """Yield the causes that hold up every job of the account that no provider has yet."""
    yield from causes_of_all(installation, account)
    if account.status.unauthorized is not None:
        return
    if (creates := account.status.creates) is not None:
        until = account.status.creates_wait_until
        yield Cause(
            CauseName.RATE_LIMITED,
            Remedy.WAIT,
            since=creates.since,
            next_at=until if until is not None and until > installation.now else None,
            about=account.id,
            variant="creates",
            facts={"account": account.id, "response": creates.last_response},
            private=_RESPONSE,
        )


def paused(since: Instant) -> Cause:
    """Return the cause of a pause of watching."""
    return Cause(CauseName.PAUSED, Remedy.RESUME, since=since)


def slow_store(slow: SlowStore) -> Cause:
    """Return the cause of a database whose writes take long."""
    return Cause(
        CauseName.STORE_SLOW,
        Remedy.FIX_STORE,
        since=slow.since,
        facts={"seconds": round(slow.seconds, 1)},
    )


def _unread(installation: Installation, account: AccountState) -> Iterator[Cause]:
    """Yield the cause of reads that fail: the provider asked for a pause, or it is down."""
    reads, until = account.status.reads, account.status.reads_wait_until
    ahead = until is not None and until > installation.now
    if reads is None and not ahead:
        return
    response = None if reads is None else reads.last_response
    if ahead:
        yield Cause(
            CauseName.RATE_LIMITED,
            Remedy.WAIT,
            since=None if reads is None else reads.since,
            next_at=until,
            about=account.id,
            variant="reads",
            facts={"account": account.id, "response": response},
            private=_RESPONSE,
        )
    elif reads is not None:
        yield Cause(
            CauseName.PROVIDER_DOWN,
            Remedy.WAIT,
            since=reads.since,
            about=account.id,
            variant="reads",
            facts={"account": account.id, "response": response},
            private=_RESPONSE,
        )
