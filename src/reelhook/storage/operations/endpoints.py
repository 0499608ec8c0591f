"""Operations on endpoints: registering them, changing them, and keeping how they fare."""

from collections.abc import Callable, Iterable, Sequence

from reelhook.domain.delivery import UndeliveredReason
from reelhook.domain.endpoint import (
    DEFAULT_ENDPOINT,
    Endpoint,
    EndpointKind,
    lane_of,
    origin_of,
)
from reelhook.domain.errors import EndpointNotFoundError, UnknownEndpointError
from reelhook.domain.event import Instant
from reelhook.ports import Destination
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations.rows import (
    ENDPOINT,
    ENDPOINT_COLUMNS,
    HEALTH_COLUMNS,
    endpoint_of,
    endpoint_values,
    health_values,
)

_COLUMNS = (*ENDPOINT_COLUMNS, *HEALTH_COLUMNS)
_VALUES = ", ".join(f"?{number}" for number in range(1, len(_COLUMNS) + 2))
_INSERT = f"INSERT INTO endpoints ({', '.join(_COLUMNS)}, lane) VALUES ({_VALUES})"
_SET = ", ".join(f"{name} = ?{number}" for number, name in enumerate(_COLUMNS[1:], start=2))
_REPLACE = f"UPDATE endpoints SET {_SET} WHERE id = ?1"
_HEALTH_SET = ", ".join(f"{name} = ?{number}" for number, name in enumerate(HEALTH_COLUMNS, 5))
# What the operator decided meanwhile stands: a disabled endpoint stays so, and one whose health was
# reset does not get back what an attempt from before has found.
_FARES = (
    f"UPDATE endpoints SET {_HEALTH_SET}, disabled = coalesce(disabled, ?2),"
    " disabled_at = coalesce(disabled_at, ?3) WHERE id = ?1 AND health_version = ?4"
)
_RELEASE = """
UPDATE deliveries SET due_at = CASE WHEN not_before > ?2 THEN not_before ELSE ?2 END
WHERE lane = ?3 AND endpoint_id = ?1 AND due_at > ?2 AND attempts > 0
"""
_ADD_URL = (
    "INSERT INTO endpoints (id, kind, url, trusted, created_at, lane)"
    " VALUES (?1, 'url', ?2, FALSE, ?3, ?4) ON CONFLICT (id) DO NOTHING"
)
_ADD_DELIVERY = (
    "INSERT INTO deliveries (job_id, endpoint_id, lane, url) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (job_id, endpoint_id) WHERE resend_of IS NULL DO NOTHING"
)
# Nobody deletes it before the job is there, with what is to be ended.
_REGISTERED = (
    "SELECT 1 FROM endpoints WHERE id = ?1 AND kind <> ?2 AND deleted_at IS NULL"
    " /*pg FOR KEY SHARE */"
)
_FOLLOW_RUNNING = (
    "INSERT INTO deliveries (job_id, endpoint_id, lane, url)"
    " SELECT id, ?1, CAST(?2 AS INTEGER), '' FROM jobs"
    " WHERE status IN ('accepted', 'submitting', 'queued', 'processing')"
    " ON CONFLICT (job_id, endpoint_id) WHERE resend_of IS NULL DO NOTHING"
)


_ONE = f"SELECT {ENDPOINT} FROM endpoints e WHERE e.id = ?1 AND e.deleted_at IS NULL"
# Another process may change the same endpoint: what is read to be written back is locked before.
# New events, which hold the key's lock, need not wait for a change, but for a deletion.
_ONE_LOCKED = f"{_ONE} /*pg FOR NO KEY UPDATE */"
_ONE_LOCKED_WHOLLY = f"{_ONE} /*pg FOR UPDATE */"
_NEXT_AT = (
    "SELECT next_at FROM endpoints WHERE id = ?1 AND deleted_at IS NULL /*pg FOR KEY SHARE */"
)
_LOWER = "UPDATE endpoints SET next_at = ?2 WHERE id = ?1 AND (next_at IS NULL OR next_at > ?2)"
_WAKE_NOW = "UPDATE endpoints SET next_at = 0 WHERE id = ?1"
# What waits for an endpoint that is deleted will not arrive.
_DROP_WAITING = """
INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT id, status_sequence, ?4, CAST(?3 AS BIGINT) FROM deliveries
WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL AND status_sequence IS NOT NULL
UNION ALL
SELECT id, progress_sequence, ?4, CAST(?3 AS BIGINT) FROM deliveries
WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL AND progress_sequence IS NOT NULL
"""


# Every transaction that takes a job in holds this lock, shared; one that registers or deletes an
# endpoint holds it alone. So each new job either has its delivery there, or was there before.
NEW_JOBS_LOCK = 7_311_482_095
ALONE_WITH_NEW_JOBS = Statement(f"SELECT 1 /*pg FROM pg_advisory_xact_lock({NEW_JOBS_LOCK}) */")


def create(endpoint: Endpoint) -> Operation[None]:
    """Store a new endpoint."""
    if endpoint.broadcast:
        yield ALONE_WITH_NEW_JOBS
    yield Statement(_INSERT, (*endpoint_values(endpoint), lane_of(endpoint.id)))
    if endpoint.broadcast:
        yield Statement(_FOLLOW_RUNNING, (endpoint.id, lane_of(endpoint.id)))


def listed() -> Operation[list[Endpoint]]:
    """Return the registered endpoints and the default one, oldest first."""
    rows = yield Statement(
        f"SELECT {ENDPOINT} FROM endpoints e WHERE e.kind <> 'url' AND e.deleted_at IS NULL"
        " ORDER BY e.created_at, e.id"
    )
    return [endpoint_of(row) for row in rows]


def held_back() -> Operation[list[Endpoint]]:
    """Return the endpoints of any kind that nothing, or nothing but probes, goes to."""
    rows = yield Statement(
        f"SELECT {ENDPOINT} FROM endpoints e WHERE (e.disabled IS NOT NULL"
        " OR e.probe_due_at IS NOT NULL) AND e.deleted_at IS NULL ORDER BY e.created_at, e.id"
    )
    return [endpoint_of(row) for row in rows]


def counts() -> Operation[dict[str, int]]:
    """Return how many endpoints are held back, by their breaker or for good."""
    rows = yield Statement(
        "SELECT count(*) FILTER (WHERE disabled IS NULL), count(disabled) FROM endpoints"
        " WHERE (disabled IS NOT NULL OR probe_due_at IS NOT NULL) AND deleted_at IS NULL"
    )
    return {"failing": rows[0][0], "disabled": rows[0][1]}


def one(endpoint_id: str) -> Operation[Endpoint]:
    """Return one endpoint, of any kind. Raises `EndpointNotFoundError`."""
    return _found(endpoint_id, (yield Statement(_ONE, (endpoint_id,))))


def _found(endpoint_id: str, rows: Sequence[Row]) -> Endpoint:
    if not rows:
        raise EndpointNotFoundError(endpoint_id)
    return endpoint_of(rows[0])


def change(endpoint_id: str, changed: Callable[[Endpoint], Endpoint]) -> Operation[Endpoint]:
    """Change an endpoint. One that begins to get every job's events starts with running jobs."""
    before = _found(endpoint_id, (yield Statement(_ONE_LOCKED, (endpoint_id,))))
    after = changed(before)
    if after.broadcast and not before.broadcast:
        yield ALONE_WITH_NEW_JOBS
        yield Statement(_FOLLOW_RUNNING, (after.id, lane_of(after.id)))
    if after is not before:
        yield from _replace(before, after)
    return after


def ask_again(endpoint_id: str, now: Instant) -> Operation[None]:
    """Probe a job's own URL again that was given up as failing."""
    yield from change(endpoint_id, lambda one: one.asked_again(now))


def _replace(before: Endpoint, after: Endpoint) -> Operation[None]:
    yield Statement(_REPLACE, endpoint_values(after))
    if before.disabled_at is not None and after.disabled is None:
        yield from release(after.id, before.disabled_at)
    if (before.disabled, before.health) != (after.disabled, after.health):
        yield Statement(_WAKE_NOW, (after.id,))


def delete(endpoint_id: str, now: Instant) -> Operation[None]:
    """End an endpoint with all that waits for it."""
    yield ALONE_WITH_NEW_JOBS
    _found(endpoint_id, (yield Statement(_ONE_LOCKED_WHOLLY, (endpoint_id,))))
    yield Statement(
        "UPDATE endpoints SET deleted_at = ?2, broadcast = FALSE, secret = NULL,"
        " previous_secret = NULL, headers = NULL WHERE id = ?1",
        (endpoint_id, now),
    )
    yield Statement(
        _DROP_WAITING, (endpoint_id, lane_of(endpoint_id), now, UndeliveredReason.GONE.value)
    )
    yield Statement(
        "UPDATE deliveries SET ended = TRUE, due_at = NULL, status_sequence = NULL,"
        " progress_sequence = NULL, terminal_at = NULL WHERE endpoint_id = ?1",
        (endpoint_id,),
    )


def keep_default(endpoint: Endpoint) -> Operation[None]:
    """Store the endpoint of WEBHOOK_URL; another URL than before is trusted anew."""
    # Two processes may start at once.
    yield Statement(
        f"{_INSERT} ON CONFLICT (id) DO NOTHING", (*endpoint_values(endpoint), lane_of(endpoint.id))
    )
    rows = yield Statement(
        f"SELECT {ENDPOINT} FROM endpoints e WHERE e.id = ?1 /*pg FOR NO KEY UPDATE */",
        (DEFAULT_ENDPOINT,),
    )
    known = endpoint_of(rows[0])
    if known.url != endpoint.url:
        yield from _replace(known, known.moved(endpoint.url))
        yield from release(known.id, endpoint.created_at)


def wake(endpoint_id: str, at: Instant) -> Operation[bool]:
    """See to it that the endpoint is looked at by then: something may be due at it.

    The key's lock, which any number of transactions share, is held until the commit. So `due.rest`,
    which wants it alone, never computes from rows that lack what this transaction wrote. Returns
    whether there is such an endpoint.
    """
    rows = yield Statement(_NEXT_AT, (endpoint_id,))
    for (next_at,) in rows:
        yield from lower(endpoint_id, next_at, at)
    return bool(rows)


def lower(endpoint_id: str, next_at: Instant | None, at: Instant | None) -> Operation[None]:
    """Do as `wake`, for who holds the lock and has read `next_at`. `at` None: nothing is due."""
    if at is not None and (next_at is None or next_at > at):
        yield Statement(_LOWER, (endpoint_id, at))


def release(endpoint_id: str, since: Instant) -> Operation[None]:
    """Make what waits for a retry due, but not before the receiver's own hint."""
    yield Statement(_RELEASE, (endpoint_id, since, lane_of(endpoint_id)))


def account_status(endpoint: Endpoint) -> Operation[None]:
    """Keep how an endpoint fares, and nothing else of it."""
    disabled = None if endpoint.disabled is None else endpoint.disabled.value
    fence = (disabled, endpoint.disabled_at, endpoint.health_version)
    yield Statement(_FARES, (endpoint.id, *fence, *health_values(endpoint.health)))


def add_deliveries(
    job_id: str, destinations: Iterable[Destination], now: Instant
) -> Operation[None]:
    """Give a new job its deliveries: where it names, and where every job's events go."""
    for destination in destinations:
        endpoint_id, url = destination.endpoint_id, destination.url
        if url is not None:
            lane = lane_of(endpoint_id)
            yield Statement(_ADD_URL, (endpoint_id, origin_of(url), now, lane))
        yield Statement(_ADD_DELIVERY, (job_id, endpoint_id, lane_of(endpoint_id), url or ""))
    for (endpoint_id,) in (
        yield Statement("SELECT id FROM endpoints WHERE broadcast AND deleted_at IS NULL")
    ):
        yield Statement(_ADD_DELIVERY, (job_id, endpoint_id, lane_of(endpoint_id), ""))


def check_registered(destinations: Iterable[Destination]) -> Operation[None]:
    """Raise `UnknownEndpointError` for an endpoint that does not exist."""
    for destination in destinations:
        if destination.url is not None:
            continue
        if not (yield Statement(_REGISTERED, (destination.endpoint_id, EndpointKind.URL.value))):
            raise UnknownEndpointError(destination.endpoint_id)
