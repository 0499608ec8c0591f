"""Operations on the pause of watching, which applies to every process."""

from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement

_PAUSED = "watching_paused"


def pause_watching(now: Instant) -> Operation[None]:
    """Pause watching. An existing pause keeps its start time."""
    yield Statement(
        "INSERT INTO switches (name, since) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (_PAUSED, now),
    )


def resume_watching() -> Operation[None]:
    """End the pause."""
    yield Statement("DELETE FROM switches WHERE name = ?1", (_PAUSED,))


def watching_paused_since() -> Operation[Instant | None]:
    """Return the time at which watching was paused, or None if it is not paused."""
    rows = yield Statement("SELECT since FROM switches WHERE name = ?1", (_PAUSED,))
    return rows[0][0] if rows else None
