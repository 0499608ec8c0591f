"""Operations on `next_at`, the earliest time at which an endpoint must be checked; see `due`."""

from reelhook.domain.endpoint import lane_of
from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.rows import DELIVERY, delivery_of

_NEXT_AT = (
    "SELECT next_at FROM endpoints WHERE id = ?1 AND deleted_at IS NULL /*pg FOR KEY SHARE */"
)
_LOWER = "UPDATE endpoints SET next_at = ?2 WHERE id = ?1 AND (next_at IS NULL OR next_at > ?2)"
# The oldest waiting final event, or the oldest waiting event if there is no final one.
FIRST_END = "endpoint_id = ?1 AND terminal_at IS NOT NULL ORDER BY terminal_at, id LIMIT 1"
FIRST_OF_ALL = "lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
_FIRST_END = f"SELECT {DELIVERY} FROM deliveries d WHERE {FIRST_END}"
_FIRST_OF_ALL = f"SELECT {DELIVERY} FROM deliveries d WHERE {FIRST_OF_ALL}"
_RELEASE = """
UPDATE deliveries SET due_at = CASE WHEN not_before > ?2 THEN not_before ELSE ?2 END
WHERE lane = ?3 AND endpoint_id = ?1 AND due_at > ?2 AND attempts > 0
"""


def wake(endpoint_id: str, at: Instant) -> Operation[bool]:
    """Ensure that the endpoint is checked at `at` or earlier. Return False if it does not exist.

    The lock on its key is shared by any number of transactions and held until the commit.
    `due.rest` needs that lock exclusively, so it never computes from rows that lack our writes.
    """
    rows = yield Statement(_NEXT_AT, (endpoint_id,))
    for (next_at,) in rows:
        yield from lower(endpoint_id, next_at, at)
    return bool(rows)


def lower(endpoint_id: str, next_at: Instant | None, at: Instant | None) -> Operation[None]:
    """Do the same as `wake` when the caller holds the lock and has read `next_at`.

    `at` None: nothing is due.
    """
    if at is not None and (next_at is None or next_at > at):
        yield Statement(_LOWER, (endpoint_id, at))


def release(endpoint_id: str, since: Instant) -> Operation[None]:
    """Make pending retries due, but not before the time that the receiver asked for."""
    yield Statement(_RELEASE, (endpoint_id, since, lane_of(endpoint_id)))


def probe_at(endpoint_id: str, probe_due_at: Instant) -> Operation[Instant | None]:
    """Return the time from which an open breaker lets a delivery through; None: nothing waits."""
    first = yield Statement(_FIRST_END, (endpoint_id,))
    if not first:
        first = yield Statement(_FIRST_OF_ALL, (endpoint_id, lane_of(endpoint_id)))
    return delivery_of(first[0]).probe_at(probe_due_at) if first else None


def rest_until_probe(endpoint_id: str, probe_due_at: Instant) -> Operation[None]:
    """Check an endpoint when its next probe is due, or a retry before it; `keep_open` comes first.

    That has locked the row and set `next_at` to the probe, which is never too late: an event that
    another transaction adds meanwhile can't be sent before that.
    """
    at = yield from probe_at(endpoint_id, probe_due_at)
    if at is not None and at < probe_due_at:
        yield Statement(_LOWER, (endpoint_id, at))
