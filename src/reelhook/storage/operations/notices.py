"""Operations on notices: events of no job, for the endpoints that ask for them."""

import json
from collections.abc import Iterable, Mapping, Sequence

from reelhook.domain.budget import Demand, LimitKind, SumKey
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Instant
from reelhook.domain.notice import BudgetNotice, notices_of
from reelhook.ports import DueNotice, Lease
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import ENDPOINT, endpoint_of, events_of

_COLUMNS = {EventName.BUDGET_WARNING: "warned_at", EventName.BUDGET_REACHED: "reached_at"}
# Once per period: the first claim wins.
_CLAIM = (
    "INSERT INTO spending (owner, period, unit, {column}) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (owner, period, unit) DO UPDATE SET {column} = excluded.{column}"
    " WHERE spending.{column} IS NULL RETURNING 1"
)
_ASKING = """
SELECT e.id, e.events FROM endpoints e WHERE e.kind <> 'url' AND e.deleted_at IS NULL
  AND e.events LIKE '%budget.%' AND e.project = {project}
"""
_ASKING_OF = {
    "project": _ASKING.format(project="?1"),
    "key": _ASKING.format(project="(SELECT project FROM api_keys WHERE id = ?1)"),
}
_ADD = (
    "INSERT INTO notices (id, endpoint_id, name, facts, occurred_at, due_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id, endpoint_id) DO NOTHING"
)
_NOTICE = "n.facts, n.name, n.occurred_at, n.attempts"
_DUE = f"""
SELECT {_NOTICE}, {ENDPOINT} FROM notices n
JOIN endpoints e ON e.id = n.endpoint_id AND e.deleted_at IS NULL
WHERE n.due_at <= ?1 ORDER BY n.due_at, n.id LIMIT ?2
"""
_NEXT = """
SELECT min(n.due_at) FROM notices n
JOIN endpoints e ON e.id = n.endpoint_id AND e.deleted_at IS NULL WHERE n.due_at IS NOT NULL
"""


def announce(
    demand: Demand, used: int, reported: Mapping[EventName, Instant | None], now: Instant
) -> Operation[bool]:
    """Store the notices that a changed sum is worth. Return True if an endpoint gets one."""
    announced = False
    for notice in notices_of(demand, used, reported, now):
        if (yield Statement(_CLAIM.format(column=_COLUMNS[notice.name]), (*notice.key, now))):
            announced = (yield from _add(notice)) or announced
    return announced


def report_reached(demand: Demand, used: int, now: Instant) -> Operation[bool]:
    """Store the notice that a limit has refused a job; see `RefusalReports`."""
    if demand.most is None or demand.kind is LimitKind.JOBS_IN_FLIGHT:
        return False
    name = EventName.BUDGET_REACHED
    if not (yield Statement(_CLAIM.format(column=_COLUMNS[name]), (*demand.key, now))):
        return False
    return (yield from _add(BudgetNotice(name, demand.key, demand.kind, demand.most, used, now)))


def _add(notice: BudgetNotice) -> Operation[bool]:
    kind, _, owner_id = notice.key.owner.partition(":")
    asking = yield Statement(_ASKING_OF[kind], (owner_id,))
    wanting = [row[0] for row in asking if notice.name in events_of(row[1])]
    for endpoint_id in wanting:
        yield Statement(
            _ADD,
            (notice.id, endpoint_id, notice.name.value, _facts(notice), notice.occurred_at),
        )
    return bool(wanting)


def _facts(notice: BudgetNotice) -> str:
    return json.dumps([*notice.key, notice.kind.value, notice.limit, notice.used])


def due(now: Instant, limit: int) -> Operation[Sequence[DueNotice]]:
    """Return the notices that are due, oldest first."""
    rows = yield Statement(_DUE, (now, limit))
    return _due_of(rows)


def _due_of(rows: Iterable[Row]) -> list[DueNotice]:
    found = []
    for facts, name, occurred_at, attempts, *endpoint in rows:
        owner, period, unit, kind, most, used = json.loads(facts)
        key = SumKey(owner, period, unit)
        notice = BudgetNotice(EventName(name), key, LimitKind(kind), most, used, occurred_at)
        found.append(DueNotice(notice, endpoint_of(endpoint), attempts))
    return found


def next_at() -> Operation[Instant | None]:
    """Return the time at which the next notice is due."""
    rows = yield Statement(_NEXT)
    found: Instant | None = rows[0][0]
    return found


def record(
    due: DueNotice, attempts: int, due_at: Instant | None, lease: Lease | None
) -> Operation[None]:
    """Store the result of an attempt; see `NoticeStore.record_notice`."""
    if (yield from holds(lease)):
        yield Statement(
            "UPDATE notices SET attempts = ?3, due_at = ?4 WHERE id = ?1 AND endpoint_id = ?2",
            (due.notice.id, due.endpoint.id, attempts, due_at),
        )


def forget(before: Instant) -> Operation[None]:
    """Delete notices that are older than that and wait for nothing."""
    yield Statement("DELETE FROM notices WHERE occurred_at < ?1 AND due_at IS NULL", (before,))
