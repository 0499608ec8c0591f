"""Operations on `next_at`, the earliest time at which an endpoint must be checked; see `due`."""

from reelhook.domain.endpoint import lane_of
from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement

_NEXT_AT = (
    "SELECT next_at FROM endpoints WHERE id = ?1 AND deleted_at IS NULL /*pg FOR KEY SHARE */"
)
_LOWER = "UPDATE endpoints SET next_at = ?2 WHERE id = ?1 AND (next_at IS NULL OR next_at > ?2)"
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
