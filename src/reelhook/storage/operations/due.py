"""Operations that find due deliveries, at a cost that does not grow with the waiting ones.

Each endpoint has `next_at`, the first column of an index. Before that time nothing can be sent to
it: no first attempt, no retry, no probe. A transaction that makes something due earlier lowers it
(`endpoint_wakeups.wake`). It is raised by `rest`, under a lock that excludes the others, and behind
an open breaker by `endpoint_wakeups.keep_open`. So it may be too early, which costs one query, but
is never too late.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import ALL_LANES, DEFAULT_FORMAT, Endpoint, lane_of
from reelhook.domain.event import Instant
from reelhook.ports import PROBES_READ, DueDeliveries, DueDelivery, DueEndpoint, StoredEvent
from reelhook.storage.operation import Operation, Row, Statement, concurrently, query
from reelhook.storage.operations import endpoint_reads
from reelhook.storage.operations.endpoint_wakeups import FIRST_END, FIRST_OF_ALL, probe_at
from reelhook.storage.operations.ownership import of_job_in_project
from reelhook.storage.operations.rows import (
    DELIVERY,
    DELIVERY_COLUMNS,
    ENDPOINT,
    ENDPOINT_COLUMNS,
    HEALTH_COLUMNS,
    delivery_of,
    endpoint_of,
)

REST_MILLISECONDS = 500
"""The time for which an idle endpoint is still checked before it rests. The next event may come
soon, and waking an endpoint that rests takes a write."""
RESTING_MAX = 256
"""The number of endpoints put to rest at once: a few milliseconds of work."""

_ENDPOINT_COLUMNS = ", ".join((*ENDPOINT_COLUMNS, *HEALTH_COLUMNS))
# Each kind has its own index. They are read separately, so that many due endpoints of one kind do
# not hide those of another, above all the healthy ones.
_KINDS = {
    "healthy": "failures = 0 AND probe_due_at IS NULL",
    "shaky": "failures > 0 AND probe_due_at IS NULL",
    "open": "probe_due_at IS NOT NULL",
}
_READY = "disabled IS NULL AND deleted_at IS NULL AND lane IN ({lanes})"
_NEXT_DUE = ", ".join(
    f"(SELECT min(next_at) FROM endpoints WHERE {kind} AND {_READY} AND next_at > ?1) AS {name}"
    for name, kind in _KINDS.items()
)
_DUE_ENDPOINTS = " UNION ALL ".join(
    f"SELECT * FROM (SELECT {_ENDPOINT_COLUMNS}, lane, next_at FROM endpoints"
    f" WHERE {kind} AND {_READY} AND next_at <= ?1 ORDER BY next_at LIMIT ?{number}) {name}"
    for number, (name, kind) in enumerate(_KINDS.items(), start=2)
)
_CHECKED_ENDPOINTS = f"""
SELECT {ENDPOINT}, e.next_at,
  CASE WHEN e.probe_due_at IS NULL THEN
    (SELECT min(d.due_at) FROM deliveries d WHERE d.lane = e.lane AND d.endpoint_id = e.id
     AND d.due_at IS NOT NULL) END,
  CASE WHEN e.probe_due_at IS NULL THEN
    (SELECT min(d.due_at) FROM deliveries d WHERE d.lane = e.lane AND d.endpoint_id = e.id
     AND d.due_at > ?1) END,
  later.healthy, later.shaky, later.open
FROM (SELECT {_NEXT_DUE}) later LEFT JOIN ({_DUE_ENDPOINTS}) e ON TRUE
"""


@lru_cache(maxsize=64)
def _checked_endpoints(lanes: frozenset[int]) -> str:
    return _CHECKED_ENDPOINTS.format(lanes=", ".join(f"{lane:d}" for lane in sorted(lanes)))


def _with_events(chosen: str) -> str:
    """Return the query for the chosen deliveries with their next events.

    The choice is a subquery, so that its LIMIT bounds the row count PostgreSQL estimates for the
    join. A resend has the body that its first delivery had.
    """
    return f"""
SELECT {DELIVERY}, e.id, coalesce(b.body, e.body), d.secret, b.format
FROM (SELECT * FROM deliveries WHERE {chosen}) d
JOIN events e ON e.job_id = d.job_id
  AND e.sequence = coalesce(d.status_sequence, d.progress_sequence)
LEFT JOIN event_bodies b ON b.delivery_id = coalesce(d.resend_of, d.id) AND b.sequence = e.sequence
"""


_DUE_AT_ENDPOINT = _with_events(
    "lane = ?1 AND endpoint_id = ?2 AND due_at >= ?5 AND due_at <= ?3 ORDER BY due_at LIMIT ?4"
)
_DUE_BY_ID = f"""{_with_events("id = ?1 AND due_at <= ?2")}
JOIN endpoints n ON n.id = d.endpoint_id AND n.disabled IS NULL AND n.deleted_at IS NULL
"""
_PROBE_WITH_END, _PROBE_WITH_ANY = _with_events(FIRST_END), _with_events(FIRST_OF_ALL)

# A transaction that makes something due here shares this row's key lock until its commit, see
# `endpoint_wakeups.wake`. Its writes are visible to the statements after this one, or the row is
# skipped.
_LOCKED_ENDPOINT = """
SELECT probe_due_at FROM endpoints WHERE id = ?1 /*pg FOR UPDATE SKIP LOCKED */
"""
_REST_UNTIL_DUE = """
UPDATE endpoints SET next_at = (SELECT min(due_at) FROM deliveries
  WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL) WHERE id = ?1
"""


_PROBE_DUE_AT = len(ENDPOINT_COLUMNS) + HEALTH_COLUMNS.index("probe_due_at")
_FAILURES = len(ENDPOINT_COLUMNS) + HEALTH_COLUMNS.index("failures")


class _DueQuery:
    """The result of one query for due deliveries.

    `due` has the endpoints with a due delivery, and its due time. `open` has the endpoints with an
    open breaker, and their `next_at`. `probes` has the deliveries that may be sent to these.
    """

    def __init__(self, now: Instant, busy: Collection[str]) -> None:
        self.now = now
        self.busy = busy
        self.read = dict.fromkeys(_KINDS, 0)
        self.later: list[Instant] = []
        self.due: list[tuple[Instant, Sequence[Any]]] = []
        self.open: list[tuple[Instant, Sequence[Any]]] = []
        self.probes: list[tuple[Instant, str, DueEndpoint]] = []
        self.early: list[str] = []

    def take(self, row: Row) -> None:
        """Classify an endpoint: something is due there, or will be later."""
        *endpoint, next_at, due_at, next_due_at, _, _, _ = row
        free = endpoint[0] not in self.busy
        if endpoint[_PROBE_DUE_AT] is not None:
            self.read["open"] += 1
            if free:
                self.open.append((next_at, endpoint))
            return
        self.read["shaky" if endpoint[_FAILURES] else "healthy"] += 1
        if next_due_at is not None:
            # Another delivery's retry may be next, while the due one is in flight for a long time.
            self.later.append(next_due_at)
        if due_at is None or due_at > self.now:
            self.note_early(endpoint[0], next_at)
        elif free:
            self.due.append((due_at, endpoint))

    def note_early(self, endpoint_id: str, since: Instant = 0) -> None:
        """Record that nothing is due yet at an endpoint that has been checked since `since`."""
        if self.now - since >= REST_MILLISECONDS and len(self.early) < RESTING_MAX:
            self.early.append(endpoint_id)


def due(
    now: Instant,
    *,
    lanes: frozenset[int] = ALL_LANES,
    per_endpoint: int,
    limit: int,
    busy: frozenset[str],
    probes: int = PROBES_READ,
    probes_alone: bool = False,
) -> Operation[DueDeliveries]:
    """Return the oldest due deliveries of the endpoints of these lanes that are not busy.

    If many endpoints wait, each gets a smaller share. For endpoints with an open breaker at most
    `probes` deliveries are returned, longest waiting first; with 0 they are not read. With
    `probes_alone` they are not read either if any other delivery is due.
    """
    if not lanes:
        return DueDeliveries((), None)
    # Some of these may be checked too early; they must not hide the others.
    most = 2 * probes
    read = (limit + len(busy), limit + len(busy), most + len(busy) if probes else 0)
    rows = yield Statement(_checked_endpoints(lanes), (now, *read))
    due_query = _DueQuery(now, busy)
    # If no probe may be sent, the time of the next one does not matter.
    kinds = rows[0][-len(_KINDS) :] if probes else rows[0][-len(_KINDS) : -1]
    due_query.later += [at for at in kinds if at is not None]
    for row in rows:
        if row[0] is not None:
            due_query.take(row)
    put_off = probes_alone and bool(due_query.open) and bool(due_query.due)
    if put_off:
        due_query.open.clear()
    unread = sorted(due_query.open, key=lambda item: (item[0], item[1][0]))[:most]
    while unread and len(due_query.probes) < probes:
        read_now, unread = unread[:probes], unread[probes:]
        yield from concurrently([_probe(row, next_at, due_query) for next_at, row in read_now])
    ready = sorted(due_query.due, key=lambda item: item[0])
    share = max(1, min(per_endpoint, limit // max(1, len(ready))))
    found = yield from concurrently(
        [_due_at(endpoint_of(row), first, now, share) for first, row in _chosen(ready, limit)]
    )
    probed = [probe for _, _, probe in sorted(due_query.probes, key=lambda item: item[:2])]
    return DueDeliveries(
        (*found, *probed[:probes]),
        min(due_query.later, default=None),
        left=bool(unread)
        or put_off
        or len(probed) > probes
        or any(0 < full == due_query.read[kind] for kind, full in zip(_KINDS, read, strict=True)),
        early=tuple(due_query.early),
        probes_put_off=put_off,
    )


def _chosen(
    ready: Sequence[tuple[Instant, Sequence[Any]]], limit: int
) -> Sequence[tuple[Instant, Sequence[Any]]]:
    """Return at most `limit` endpoints; recently failed ones are left out first."""
    if len(ready) <= limit:
        return ready
    return sorted(ready, key=lambda item: item[1][_FAILURES] > 0)[:limit]


def _due_at(endpoint: Endpoint, first: Instant, now: Instant, share: int) -> Operation[DueEndpoint]:
    """Return the due deliveries of one endpoint, given the due time of the first.

    Index entries of settled deliveries may precede the first one. PostgreSQL can only skip them row
    by row as long as an old transaction might still see them. The join with the events may change
    the order of the chosen rows.
    """
    at = (lane_of(endpoint.id), endpoint.id)
    rows = yield Statement(_DUE_AT_ENDPOINT, (*at, now, share, first))
    found = sorted(map(_due_delivery, rows), key=lambda one: (one.delivery.due_at, one.delivery.id))
    return DueEndpoint(endpoint, tuple(found))


def _probe(row: Sequence[Any], next_at: Instant, due_query: _DueQuery) -> Operation[None]:
    """Find the one delivery that an open breaker lets through next, if its time has come."""
    endpoint = endpoint_of(row)
    rows = yield Statement(_PROBE_WITH_END, (endpoint.id,))
    if not rows:
        rows = yield Statement(_PROBE_WITH_ANY, (endpoint.id, lane_of(endpoint.id)))
    if not rows:
        due_query.note_early(endpoint.id)
    for probe in map(_due_delivery, rows):
        at = probe.delivery.probe_at(endpoint.health.probe_due_at or due_query.now)
        if at <= due_query.now:
            due_query.probes.append((next_at, endpoint.id, DueEndpoint(endpoint, (probe,))))
        else:
            due_query.later.append(at)
            due_query.note_early(endpoint.id)


def rest(endpoint_ids: Sequence[str]) -> Operation[None]:
    """Check these endpoints again only when something can be due there.

    A crash may undo it. It needs its own transaction: together with other locks it could cause a
    deadlock.
    """
    yield from concurrently([_rest(endpoint_id) for endpoint_id in sorted(endpoint_ids)])


def _rest(endpoint_id: str) -> Operation[None]:
    rows = yield Statement(_LOCKED_ENDPOINT, (endpoint_id,))
    if not rows:
        return  # something is being made due there, or it was deleted
    probe_due_at = rows[0][0]
    if probe_due_at is None:
        yield Statement(_REST_UNTIL_DUE, (endpoint_id, lane_of(endpoint_id)))
        return
    at = yield from probe_at(endpoint_id, probe_due_at)
    yield Statement("UPDATE endpoints SET next_at = ?2 WHERE id = ?1", (endpoint_id, at))


def due_by_id(delivery_id: int, now: Instant) -> Operation[DueEndpoint | None]:
    """Return one delivery with its endpoint, if it may be sent now."""
    rows = yield Statement(_DUE_BY_ID, (delivery_id, now))
    if not rows:
        return None
    due = _due_delivery(rows[0])
    endpoint = yield from endpoint_reads.endpoint(due.delivery.endpoint_id)
    return DueEndpoint(endpoint, (due,))


def ended_meanwhile(delivery_ids: Sequence[int]) -> Operation[list[int]]:
    """Return the deliveries whose job has ended and whose final event still waits."""
    ended = "SELECT id FROM deliveries WHERE id = ?1 AND terminal_at IS NOT NULL"
    found = yield from concurrently([query(ended, (delivery_id,)) for delivery_id in delivery_ids])
    return [row[0] for rows in found for row in rows]


def waiting(project: str | None = None) -> Operation[int]:
    """Return the number of deliveries with something to send."""
    owned, owner = of_job_in_project(project, 1, "d.job_id")
    rows = yield Statement(
        f"SELECT count(*) FROM deliveries d WHERE d.due_at IS NOT NULL{owned}", owner
    )
    return int(rows[0][0])


def _due_delivery(row: Row) -> DueDelivery:
    delivery: Delivery = delivery_of(row)
    event_id, body, secret, body_format = row[len(DELIVERY_COLUMNS) :]
    sequence = delivery.next_sequence
    if sequence is None or not isinstance(body, bytes):  # the join requires a sequence
        raise TypeError(row)
    event = StoredEvent(str(event_id), delivery.job_id, sequence, body)
    return DueDelivery(delivery, event, secret, body_format or DEFAULT_FORMAT)
