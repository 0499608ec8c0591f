"""Operations on what every process must know: the watcher's switch, and how accounts fare."""

from typing import Any

from reelhook.domain.account_status import HEALTHY, AccountStatus
from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountRecord, Lease
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.leases import holds

_PAUSED = "watching_paused"
_FARES = (
    "unauthorized",
    "stretched_ms",
    "reads_wait_until",
    "creates_wait_until",
    "creates_refused_since",
    "creates_response",
    "reads_failed_since",
    "reads_response",
)
"""The columns of `AccountStatus`, in its order."""


def pause_watching(now: Instant) -> Operation[None]:
    """Keep that watching is paused. A pause that holds already goes on."""
    yield Statement(
        "INSERT INTO switches (name, since) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (_PAUSED, now),
    )


def resume_watching() -> Operation[None]:
    """Keep that it is not."""
    yield Statement("DELETE FROM switches WHERE name = ?1", (_PAUSED,))


def watching_paused_since() -> Operation[Instant | None]:
    """Return since when watching is paused."""
    rows = yield Statement("SELECT since FROM switches WHERE name = ?1", (_PAUSED,))
    return rows[0][0] if rows else None


def save_account_status(
    account: str, account_status: AccountStatus, lease: Lease | None
) -> Operation[None]:
    """Keep how an account fares."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        f"INSERT INTO accounts (id, {', '.join(_FARES)})"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        " ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _FARES),
        (
            account,
            account_status.unauthorized,
            account_status.stretched_milliseconds,
            account_status.reads_wait_until,
            account_status.creates_wait_until,
            *_worded(account_status.creates),
            *_worded(account_status.reads),
        ),
    )


def account_status(account: str) -> Operation[AccountStatus]:
    """Return an account's status."""
    rows = yield Statement(f"SELECT {', '.join(_FARES)} FROM accounts WHERE id = ?1", (account,))
    return _status(*rows[0]) if rows else HEALTHY


def account_records() -> Operation[dict[str, AccountRecord]]:
    """Return the state of every account that has one, by the account's id."""
    rows = yield Statement(f"SELECT id, round_at, {', '.join(_FARES)} FROM accounts")
    return {
        account: AccountRecord(_status(*status), round_at) for account, round_at, *status in rows
    }


def _status(
    unauthorized: str | None,
    stretched: int | None,
    reads_until: Instant | None,
    creates_until: Instant | None,
    *waiting: Any,
) -> AccountStatus:
    creates, reads = waiting[:2], waiting[2:]
    return AccountStatus(
        unauthorized, stretched, reads_until, creates_until, _waiting(*creates), _waiting(*reads)
    )


def _worded(waiting: Waiting | None) -> tuple[Instant | None, str | None]:
    return (None, None) if waiting is None else (waiting.since, waiting.last_response)


def _waiting(since: Instant | None, words: str | None) -> Waiting | None:
    return None if since is None or words is None else Waiting(since, words)
