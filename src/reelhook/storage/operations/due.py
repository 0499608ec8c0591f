"""Operations that find what may be sent now. What they cost follows what is due, not what waits.

Each endpoint has `next_at`, an index's first column: before that moment nothing can be sent to it,
be it a first attempt, a retry or a probe. Whoever makes something due earlier lowers it in the same
transaction (`endpoints.wake`); `rest` alone raises it, under a lock that keeps the others out.
So it may be too early, which costs one look, and is never too late.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import ALL_LANES, Endpoint, lane_of
from reelhook.domain.event import Instant
from reelhook.ports import PROBES_READ, DueDeliveries, DueDelivery, DueEndpoint, StoredEvent
from reelhook.storage.operation import Operation, Row, Statement, query, side_by_side
from reelhook.storage.operations import endpoints
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
"""For how long an endpoint is looked at again before it rests: the next event may be near, and one
that rests has to be woken, which is a write."""
RESTING_MAX = 256
"""How many are put to rest at once: a few milliseconds' worth."""

_ENDPOINT_COLUMNS = ", ".join((*ENDPOINT_COLUMNS, *HEALTH_COLUMNS))
# Each has its own index. Read by themselves, however many endpoints of one kind come due together,
# those of another are found: above all what goes to endpoints that are well.
_KINDS = {
    "well": "failures = 0 AND probe_due_at IS NULL",
    "shaky": "failures > 0 AND probe_due_at IS NULL",
    "open": "probe_due_at IS NOT NULL",
}
_READY = "disabled IS NULL AND deleted_at IS NULL AND lane IN ({lanes})"
_LATER = ", ".join(
    f"(SELECT min(next_at) FROM endpoints WHERE {kind} AND {_READY} AND next_at > ?1) AS {name}"
    for name, kind in _KINDS.items()
)
_SOON = " UNION ALL ".join(
    f"SELECT * FROM (SELECT {_ENDPOINT_COLUMNS}, lane, next_at FROM endpoints"
    f" WHERE {kind} AND {_READY} AND next_at <= ?1 ORDER BY next_at LIMIT ?{number}) {name}"
    for number, (name, kind) in enumerate(_KINDS.items(), start=2)
)
_LOOKED_AT = f"""
SELECT {ENDPOINT}, e.next_at,
  CASE WHEN e.probe_due_at IS NULL THEN
    (SELECT min(d.due_at) FROM deliveries d WHERE d.lane = e.lane AND d.endpoint_id = e.id
     AND d.due_at IS NOT NULL) END,
  CASE WHEN e.probe_due_at IS NULL THEN
    (SELECT min(d.due_at) FROM deliveries d WHERE d.lane = e.lane AND d.endpoint_id = e.id
     AND d.due_at > ?1) END,
  later.well, later.shaky, later.open
FROM (SELECT {_LATER}) later LEFT JOIN ({_SOON}) e ON TRUE
"""


@lru_cache(maxsize=64)
def _looked_at(lanes: frozenset[int]) -> str:
    return _LOOKED_AT.format(lanes=", ".join(f"{lane:d}" for lane in sorted(lanes)))


def _with_events(chosen: str) -> str:
    """Return the query for the chosen deliveries with the event that is next.

    The choice stands by itself, so that its limit bounds what PostgreSQL expects of the join.
    """
    return f"""
SELECT {DELIVERY}, e.id, e.body FROM (SELECT * FROM deliveries WHERE {chosen}) d
JOIN events e ON e.job_id = d.job_id
  AND e.sequence = coalesce(d.status_sequence, d.progress_sequence)
"""


_DUE_AT_ENDPOINT = _with_events(
    "lane = ?1 AND endpoint_id = ?2 AND due_at >= ?5 AND due_at <= ?3 ORDER BY due_at LIMIT ?4"
)
_DUE_BY_ID = f"""{_with_events("id = ?1 AND due_at <= ?2")}
JOIN endpoints n ON n.id = d.endpoint_id AND n.disabled IS NULL AND n.deleted_at IS NULL
"""
# The oldest end of a job that waits, or the oldest of all where there is none.
_FIRST_END = "endpoint_id = ?1 AND terminal_at IS NOT NULL ORDER BY terminal_at, id LIMIT 1"
_FIRST_OF_ALL = "lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
_PROBE_WITH_END, _PROBE_WITH_ANY = _with_events(_FIRST_END), _with_events(_FIRST_OF_ALL)
_FIRST_END_ALONE = f"SELECT {DELIVERY} FROM deliveries d WHERE {_FIRST_END}"
_FIRST_OF_ALL_ALONE = f"SELECT {DELIVERY} FROM deliveries d WHERE {_FIRST_OF_ALL}"

# Who makes something due here shares this row's key lock until its commit, see `endpoints.wake`:
# what such a transaction wrote is either seen by the statements after this one, or the row is
# passed over.
_HELD_ENDPOINT = """
SELECT probe_due_at FROM endpoints WHERE id = ?1 /*pg FOR UPDATE SKIP LOCKED */
"""
_REST_UNTIL_DUE = """
UPDATE endpoints SET next_at = (SELECT min(due_at) FROM deliveries
  WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL) WHERE id = ?1
"""


_PROBE_DUE_AT = len(ENDPOINT_COLUMNS) + HEALTH_COLUMNS.index("probe_due_at")
_FAILURES = len(ENDPOINT_COLUMNS) + HEALTH_COLUMNS.index("failures")


class _DueQuery:
    """What one look finds.

    `asked`: endpoints where something is due, and since when. `open`: those with an open breaker,
    and since when they are to be looked at; `probes`: what goes out to them.
    """

    def __init__(self, now: Instant, busy: Collection[str]) -> None:
        self.now = now
        self.busy = busy
        self.read = dict.fromkeys(_KINDS, 0)
        self.later: list[Instant] = []
        self.asked: list[tuple[Instant, Sequence[Any]]] = []
        self.open: list[tuple[Instant, Sequence[Any]]] = []
        self.probes: list[tuple[Instant, str, DueEndpoint]] = []
        self.early: list[str] = []

    def take(self, row: Row) -> None:
        """Sort an endpoint in: what is due there, or when something will be."""
        *endpoint, next_at, due_at, next_due_at, _, _, _ = row
        free = endpoint[0] not in self.busy
        if endpoint[_PROBE_DUE_AT] is not None:
            self.read["open"] += 1
            if free:
                self.open.append((next_at, endpoint))
            return
        self.read["shaky" if endpoint[_FAILURES] else "well"] += 1
        if next_due_at is not None:
            # Behind what is due, and maybe under way for long, another's retry may be next.
            self.later.append(next_due_at)
        if due_at is None or due_at > self.now:
            self.is_early(endpoint[0], next_at)
        elif free:
            self.asked.append((due_at, endpoint))

    def is_early(self, endpoint_id: str, since: Instant = 0) -> None:
        """Note that nothing is due yet where one has looked since then."""
        if self.now - since >= REST_MILLISECONDS and len(self.early) < RESTING_MAX:
            self.early.append(endpoint_id)


def due(
    now: Instant,
    per_endpoint: int,
    limit: int,
    busy: frozenset[str],
    lanes: frozenset[int] = ALL_LANES,
    probes: int = PROBES_READ,
) -> Operation[DueDeliveries]:
    """Return the oldest due deliveries of the endpoints of these lanes that are not busy.

    Where many endpoints wait each gets a smaller share. Behind open breakers `probes` at most are
    returned, those first that have waited longest; with 0 they are not looked at.
    """
    if not lanes:
        return DueDeliveries((), None)
    # Some of them may be looked at too early: they must not hide the others.
    most = 2 * probes
    read = (limit + len(busy), limit + len(busy), most + len(busy) if probes else 0)
    rows = yield Statement(_looked_at(lanes), (now, *read))
    look = _DueQuery(now, busy)
    # Where no probe may go, the next one is not what is waited for.
    kinds = rows[0][-len(_KINDS) :] if probes else rows[0][-len(_KINDS) : -1]
    look.later += [moment for moment in kinds if moment is not None]
    for row in rows:
        if row[0] is not None:
            look.take(row)
    yield from side_by_side([_probe(one, next_at, look) for next_at, one in look.open[:most]])
    asked = sorted(look.asked, key=lambda one: one[0])
    share = max(1, min(per_endpoint, limit // max(1, len(asked))))
    found = yield from side_by_side(
        [_due_at(endpoint_of(row), first, now, share) for first, row in _chosen(asked, limit)]
    )
    probed = [one for _, _, one in sorted(look.probes, key=lambda one: one[:2])]
    return DueDeliveries(
        (*found, *probed[:probes]),
        min(look.later, default=None),
        left=len(probed) > probes
        or any(0 < full == look.read[kind] for kind, full in zip(_KINDS, read, strict=True)),
        early=tuple(look.early),
    )


def _chosen(
    asked: Sequence[tuple[Instant, Sequence[Any]]], limit: int
) -> Sequence[tuple[Instant, Sequence[Any]]]:
    """Leave out, where it is too much for one look, first those that have failed lately."""
    if len(asked) <= limit:
        return asked
    return sorted(asked, key=lambda one: one[1][_FAILURES] > 0)[:limit]


def _due_at(endpoint: Endpoint, first: Instant, now: Instant, share: int) -> Operation[DueEndpoint]:
    """Return what is due at one endpoint, where the first of it is known.

    Before the first may lie what was settled long ago: PostgreSQL can't pass over it any faster
    than row by row while anybody's old transaction might still see it.
    """
    at = (lane_of(endpoint.id), endpoint.id)
    rows = yield Statement(_DUE_AT_ENDPOINT, (*at, now, share, first))
    return DueEndpoint(endpoint, tuple(_due_delivery(row) for row in rows))


def _probe(row: Sequence[Any], next_at: Instant, look: _DueQuery) -> Operation[None]:
    """Behind an open breaker: the one delivery that goes next, if its time has come."""
    endpoint = endpoint_of(row)
    rows = yield Statement(_PROBE_WITH_END, (endpoint.id,))
    if not rows:
        rows = yield Statement(_PROBE_WITH_ANY, (endpoint.id, lane_of(endpoint.id)))
    if not rows:
        look.is_early(endpoint.id)
    for one in map(_due_delivery, rows):
        at = one.delivery.probe_at(endpoint.health.probe_due_at or look.now)
        if at <= look.now:
            look.probes.append((next_at, endpoint.id, DueEndpoint(endpoint, (one,))))
        else:
            look.later.append(at)
            look.is_early(endpoint.id)


def rest(endpoint_ids: Collection[str]) -> Operation[None]:
    """Look at these endpoints no earlier than something can be due there.

    It may be undone by a crash. In a transaction of its own: one that held anything else besides
    these locks could wait for somebody who waits for them.
    """
    yield from side_by_side([_rest(one) for one in sorted(endpoint_ids)])


def _rest(endpoint_id: str) -> Operation[None]:
    rows = yield Statement(_HELD_ENDPOINT, (endpoint_id,))
    if not rows:
        return  # something is being made due there, or it is gone
    probe_due_at = rows[0][0]
    if probe_due_at is None:
        yield Statement(_REST_UNTIL_DUE, (endpoint_id, lane_of(endpoint_id)))
        return
    first = yield Statement(_FIRST_END_ALONE, (endpoint_id,))
    if not first:
        first = yield Statement(_FIRST_OF_ALL_ALONE, (endpoint_id, lane_of(endpoint_id)))
    at = delivery_of(first[0]).probe_at(probe_due_at) if first else None
    yield Statement("UPDATE endpoints SET next_at = ?2 WHERE id = ?1", (endpoint_id, at))


def due_by_id(delivery_id: int, now: Instant) -> Operation[DueEndpoint | None]:
    """Return one delivery with its endpoint, if it may be sent now."""
    rows = yield Statement(_DUE_BY_ID, (delivery_id, now))
    if not rows:
        return None
    due = _due_delivery(rows[0])
    endpoint = yield from endpoints.one(due.delivery.endpoint_id)
    return DueEndpoint(endpoint, (due,))


def ended_meanwhile(delivery_ids: Sequence[int]) -> Operation[list[int]]:
    """Return those of the deliveries for which the end of their job waits."""
    ended = "SELECT id FROM deliveries WHERE id = ?1 AND terminal_at IS NOT NULL"
    found = yield from side_by_side([query(ended, (one,)) for one in delivery_ids])
    return [row[0] for rows in found for row in rows]


def waiting() -> Operation[int]:
    """Return the number of deliveries with something to send."""
    rows = yield Statement("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")
    return int(rows[0][0])


def _due_delivery(row: Row) -> DueDelivery:
    delivery: Delivery = delivery_of(row)
    event_id, body = row[len(DELIVERY_COLUMNS) :]
    sequence = delivery.next_sequence
    if sequence is None or not isinstance(body, bytes):  # the join found the event by it
        raise TypeError(row)
    return DueDelivery(delivery, StoredEvent(str(event_id), delivery.job_id, sequence, body))
