"""Operations on the state of accounts: their status and their last round."""

from collections.abc import Sequence
from typing import Any

from reelhook.domain.account_status import HEALTHY, AccountStatus
from reelhook.domain.archive_pause import ArchivePause, PauseCause
from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountRecord, Lease
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.leases import holds

_STATUS_COLUMNS = (
    "unauthorized",
    "stretched_ms",
    "reads_wait_until",
    "creates_wait_until",
    "creates_refused_since",
    "creates_response",
    "reads_failed_since",
    "reads_response",
    "unauthorized_since",
    "stretched_since",
    "archive_paused_since",
    "archive_pause_cause",
    "archive_pause_message",
    "files_refused_since",
    "files_response",
)
"""The columns of `AccountStatus`, in its order."""


def record_round(account: str, now: Instant, lease: Lease | None = None) -> Operation[None]:
    """Store the time at which the account's last round ended."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        "INSERT INTO accounts (id, round_at) VALUES (?1, ?2)"
        " ON CONFLICT (id) DO UPDATE SET round_at = excluded.round_at",
        (account, now),
    )


def last_round(account: str) -> Operation[Instant | None]:
    """Return the time at which the account's last round ended."""
    rows = yield Statement("SELECT round_at FROM accounts WHERE id = ?1", (account,))
    return rows[0][0] if rows else None


def save_status(
    account: str, account_status: AccountStatus, lease: Lease | None
) -> Operation[None]:
    """Store an account's status."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        f"INSERT INTO accounts (id, {', '.join(_STATUS_COLUMNS)})"
        f" VALUES ({', '.join(f'?{n}' for n in range(1, len(_STATUS_COLUMNS) + 2))})"
        " ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _STATUS_COLUMNS),
        (
            account,
            account_status.unauthorized,
            account_status.stretched_milliseconds,
            account_status.reads_wait_until,
            account_status.creates_wait_until,
            *_waiting_values(account_status.creates),
            *_waiting_values(account_status.reads),
            account_status.unauthorized_since,
            account_status.stretched_since,
            *_pause_values(account_status.archive),
            *_waiting_values(account_status.files),
        ),
    )


def status(account: str) -> Operation[AccountStatus]:
    """Return an account's status."""
    rows = yield Statement(
        f"SELECT {', '.join(_STATUS_COLUMNS)} FROM accounts WHERE id = ?1", (account,)
    )
    return _status_of(rows[0]) if rows else HEALTHY


def records() -> Operation[dict[str, AccountRecord]]:
    """Return the state of every account that has one, by the account's id."""
    rows = yield Statement(f"SELECT id, round_at, {', '.join(_STATUS_COLUMNS)} FROM accounts")
    return {
        account: AccountRecord(_status_of(values), round_at) for account, round_at, *values in rows
    }


def _status_of(values: Sequence[Any]) -> AccountStatus:
    unauthorized, stretched, reads_until, creates_until, *waiting = values
    creates, reads, pause, files = waiting[:2], waiting[2:4], waiting[6:9], waiting[9:]
    unauthorized_since, stretched_since = waiting[4:6]
    return AccountStatus(
        unauthorized,
        stretched,
        reads_until,
        creates_until,
        _waiting_of(*creates),
        _waiting_of(*reads),
        unauthorized_since,
        stretched_since,
        _pause_of(*pause),
        _waiting_of(*files),
    )


def _waiting_values(waiting: Waiting | None) -> tuple[Instant | None, str | None]:
    return (None, None) if waiting is None else (waiting.since, waiting.last_response)


def _waiting_of(since: Instant | None, last_response: str | None) -> Waiting | None:
    return None if since is None or last_response is None else Waiting(since, last_response)


def _pause_values(pause: ArchivePause | None) -> tuple[Instant | None, str | None, str | None]:
    return (None, None, None) if pause is None else (pause.since, pause.cause.value, pause.message)


def _pause_of(since: Instant | None, cause: str | None, message: str | None) -> ArchivePause | None:
    # A newer process may know more causes.
    if since is None or cause not in list(PauseCause):
        return None
    return ArchivePause(since, PauseCause(cause), message or "")
