"""Operations on the calls of clients that repeat them without a key; see `domain.client_call`.

Rows are those of calls whose job the client has not used yet. Equal calls share a hash.
"""

from reelhook.domain.client_call import CallNotSettledError, EarlierCall, NotSettled, call_of
from reelhook.domain.event import Instant
from reelhook.ports import ClientTry
from reelhook.storage.operation import Operation, Statement

# Chosen once: the class of the locks on equal calls. Such a lock has two numbers of 32 bits.
_LOCK_CLASS = 731_148
LOCK = f"CAST(?1 AS INTEGER) /*pg , CAST(pg_advisory_xact_lock({_LOCK_CLASS}, ?1) AS TEXT) */"
"""A column that waits until no other process writes an equal call; ?1 is `lock_of` the try.

The first parameter is the one by which a group's statements are ordered.
"""
_EQUAL_MAX = 1000
"""The most equal calls that are considered. Clients that only wait for webhooks have many."""
_EQUAL = (
    "SELECT id, created_at, answered_at, job_id, answered, {lost} FROM client_calls c"
    " WHERE c.hash = ?1 AND created_at >= ?2 AND answered & ?3 = 0"
    f" LIMIT {_EQUAL_MAX}"
)
_COUNTED = _EQUAL.format(lost="lost")
# The process may have died before it responded.
_UNCOUNTED = _EQUAL.format(
    lost="lost OR (process IS NOT NULL AND NOT EXISTS (SELECT 1 FROM processes p"
    " WHERE p.id = c.process AND p.seen_until > now_ms()))"
)


def lock_of(one: ClientTry) -> int:
    """Return the number of the lock on all calls that equal this one."""
    return int(one.hash[:8], 16) - 2**31


def find(one: ClientTry) -> Operation[EarlierCall | None]:
    """Return the call that a try belongs to; its lock is held.

    Raises `CallNotSettledError`.
    """
    found = yield from _found(one)
    if isinstance(found, NotSettled):
        raise CallNotSettledError(found.until)
    return found


def _found(one: ClientTry) -> Operation[EarlierCall | NotSettled | None]:
    since = one.at - one.call.window_milliseconds
    sql = _UNCOUNTED if one.call.count is None else _COUNTED
    rows = yield Statement(sql, (one.hash, since, one.call.mark))
    earlier = [EarlierCall(*row) for row in rows]
    return call_of(one.call, earlier, one.at, waits=one.waits)


def keep(one: ClientTry, earlier: EarlierCall | None, job_id: str | None) -> Operation[None]:
    """Store that a try gets this response: a job, or a refusal (None)."""
    if earlier is None:
        yield Statement(
            "INSERT INTO client_calls"
            " (hash, id, holder, job_id, created_at, answered_at, answered, lost, process)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, FALSE, ?7)",
            (one.hash, one.call_id, one.holder, job_id, one.at, one.call.mark, _process(one)),
        )
        return
    yield Statement(
        "UPDATE client_calls SET job_id = ?3, answered_at = ?4, answered = ?5, lost = FALSE,"
        " process = ?6 WHERE hash = ?1 AND id = ?2",
        (
            *(one.hash, earlier.id, job_id, one.at),
            *(earlier.answered | one.call.mark, _process(one)),
        ),
    )


def _process(one: ClientTry) -> str | None:
    return one.process if one.call.count is None else None


def is_repeated(one: ClientTry) -> Operation[bool]:
    """Return True if the try belongs to a call that has a job already."""
    found = yield from _found(one)
    return isinstance(found, NotSettled) or (found is not None and found.job_id is not None)


def unused(holder: str, job_id: str) -> Operation[str | None]:
    """Return the hash of the call that got this job, if its client has not used the job yet.

    A client without counts (`answered` 0) knows no id before its response is written.
    """
    rows = yield Statement(
        "SELECT hash FROM client_calls WHERE job_id = ?1 AND holder = ?2 AND answered <> 0",
        (job_id, holder),
    )
    return str(rows[0][0]) if rows else None


def use(call_hash: str, job_id: str) -> Operation[None]:
    """Forget a call, since its client has used its job, or has the whole response."""
    yield Statement("DELETE FROM client_calls WHERE hash = ?1 AND job_id = ?2", (call_hash, job_id))


def lose(one: ClientTry, job_id: str) -> Operation[None]:
    """Record that the response to a try could not be written, unless a later try got one."""
    yield Statement(
        "UPDATE client_calls SET lost = TRUE WHERE hash = ?1 AND job_id = ?2"
        " AND (answered < ?3 OR ?3 = 0)",
        (one.hash, job_id, 2 * one.call.mark),
    )


def refuse(one: ClientTry) -> Operation[None]:
    """Record that a try was refused, so that the client's next try gets the job of its call.

    If the call has none yet, that try creates it.
    """
    yield Statement(f"SELECT {LOCK}", (lock_of(one),))
    rows = yield Statement(
        "SELECT id, created_at, answered_at, job_id, answered, lost FROM client_calls"
        " WHERE hash = ?1 AND created_at >= ?2 AND answered & ?3 = 0",
        (one.hash, one.at - one.call.window_milliseconds, one.call.mark),
    )
    found = call_of(one.call, [EarlierCall(*row) for row in rows], one.at, waits=False)
    earlier = found if isinstance(found, EarlierCall) else None
    if earlier is None or earlier.job_id is None:
        yield from keep(one, earlier, None)
        return
    yield Statement(
        "UPDATE client_calls SET answered = answered | ?3 WHERE hash = ?1 AND id = ?2",
        (one.hash, earlier.id, one.call.mark),
    )


def forget(created_before: Instant) -> Operation[None]:
    """Delete calls older than that."""
    yield Statement("DELETE FROM client_calls WHERE created_at < ?1", (created_before,))


def break_off() -> Operation[None]:
    """Record that no response is being written any more, since no other process is alive."""
    yield Statement("UPDATE client_calls SET lost = TRUE WHERE answered = 0 AND job_id IS NOT NULL")
