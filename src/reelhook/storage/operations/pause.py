"""Operations on the pause of watching, which applies to every process."""

from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import audit as trail

_PAUSED = "watching_paused"


def pause_watching(now: Instant, audit: AuditEntry | None = None) -> Operation[None]:
    """Pause watching. An existing pause keeps its start time."""
    rows = yield Statement(
        "INSERT INTO switches (name, since) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING"
        " RETURNING name",
        (_PAUSED, now),
    )
    if rows and audit is not None:
        yield from trail.add(audit)


def resume_watching(audit: AuditEntry | None = None) -> Operation[None]:
    """End the pause."""
    rows = yield Statement("DELETE FROM switches WHERE name = ?1 RETURNING name", (_PAUSED,))
    if rows and audit is not None:
        yield from trail.add(audit)


def watching_paused_since() -> Operation[Instant | None]:
    """Return the time at which watching was paused, or None if it is not paused."""
    rows = yield Statement("SELECT since FROM switches WHERE name = ?1", (_PAUSED,))
    return rows[0][0] if rows else None
