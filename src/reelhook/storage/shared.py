"""Operations on what every process must know: the watcher's switch, and how accounts fare."""

from reelhook.domain.event import Instant
from reelhook.ports import Lease
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.ownership import holds

_PAUSED = "watching_paused"


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


def record_refusal(account: str, words: str | None, lease: Lease | None) -> Operation[None]:
    """Keep the provider's words for refusing the account's key; None: it takes the key."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        "INSERT INTO accounts (id, unauthorized) VALUES (?1, ?2)"
        " ON CONFLICT (id) DO UPDATE SET unauthorized = excluded.unauthorized",
        (account, words),
    )


def refusal(account: str) -> Operation[str | None]:
    """Return the provider's words for refusing the account's key, if it does."""
    rows = yield Statement("SELECT unauthorized FROM accounts WHERE id = ?1", (account,))
    return rows[0][0] if rows else None
