"""Operations on the processes that have a shared database open."""

from reelhook.ports import SEEN_MILLISECONDS_MAX
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.schema.compatibility import may_use

_FORGET_MILLISECONDS = 60 * 60 * 1000


def announce(process: str, own: str, milliseconds: int) -> Operation[str | None]:
    """Record that a process of the schema `own` is alive, for a time of the database's clock.

    Return the database's schema, and record nothing, if this process may not use it; else None.
    """
    rows = yield Statement("SELECT version_num FROM alembic_version")
    schema = oldest = str(rows[0][0]) if rows else ""
    if schema > own:
        rows = yield Statement("SELECT coalesce(oldest, version_num) FROM alembic_version")
        oldest = rows[0][0]
    if not may_use(own, schema, oldest):
        return schema
    yield Statement(
        "INSERT INTO processes (id, seen_until) VALUES (?1, now_ms() + ?2)"
        " ON CONFLICT (id) DO UPDATE SET seen_until = excluded.seen_until",
        (process, milliseconds),
    )
    yield Statement(
        "DELETE FROM processes WHERE seen_until < now_ms() - ?1 OR seen_until > now_ms() + ?2",
        (_FORGET_MILLISECONDS, SEEN_MILLISECONDS_MAX),
    )
    return None


def leave(process: str) -> Operation[None]:
    """Record that a process ends."""
    yield Statement("DELETE FROM processes WHERE id = ?1", (process,))
