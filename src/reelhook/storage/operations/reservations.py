"""Operations that reserve a new job's price in its budgets, and settle it when the job ends.

The sums of an owner change only while the row of its budget is locked. Several jobs of one
transaction are stored concurrently, so the limits are conditions of the write itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from reelhook.domain.budget import (
    JOBS,
    NOW,
    WARNING_PERCENT,
    Budget,
    Demand,
    SumKey,
    day_of,
    demands,
    key_owner,
    project_owner,
    refusal,
    reserved_for,
)
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.late_check import Spent
from reelhook.domain.reservation import Bill, BillOutcome, Reservation, SumChange
from reelhook.ports import NewJob
from reelhook.storage.operation import (
    Operation,
    Row,
    Statement,
    StatementBatch,
    concurrently,
    query,
)
from reelhook.storage.operations import notices
from reelhook.storage.operations.budget_rows import (
    BUDGET,
    RESERVATION,
    budget_of,
    reservation_of,
    reservation_values,
)

# A project's row first: its keys' rows are then locked in the same order by every process.
_LOCKED = (
    f"SELECT {BUDGET} FROM budgets WHERE owner IN (?1, ?2) ORDER BY owner DESC /*pg FOR UPDATE */"
)
_DEMAND = ("TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT")
# All of it or nothing: one sum above its limit stops the whole statement.
_RESERVE = """
INSERT INTO spending (owner, period, unit, reserved, spent)
WITH wanted (owner, period, unit, reserved, spent, most) AS (VALUES {rows})
SELECT owner, period, unit, reserved, spent FROM wanted WHERE NOT EXISTS (
  SELECT 1 FROM wanted w LEFT JOIN spending s
    ON s.owner = w.owner AND s.period = w.period AND s.unit = w.unit
  WHERE coalesce(s.reserved + s.spent, 0) + w.reserved + w.spent > w.most)
ON CONFLICT (owner, period, unit) DO UPDATE SET
  reserved = spending.reserved + excluded.reserved, spent = spending.spent + excluded.spent
RETURNING owner, period, unit, reserved + spent, warned_at, reached_at
"""
_CHANGE = (
    "INSERT INTO spending (owner, period, unit, reserved, spent) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (owner, period, unit) DO UPDATE SET"
    " reserved = spending.reserved + excluded.reserved, spent = spending.spent + excluded.spent"
)
_USED = (
    "SELECT owner, period, unit, reserved + spent FROM spending"
    " WHERE owner = ?1 AND period = ?2 AND unit = ?3"
)
_KEEP = (
    "INSERT INTO reservations (job_id, owner, day, unit, amount, in_flight)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
)
_DELETE = f"DELETE FROM reservations WHERE job_id = ?1 RETURNING {RESERVATION}"
_LAND = (
    "UPDATE reservations SET in_flight = FALSE WHERE job_id = ?1 AND in_flight"
    " RETURNING owner, day, unit, amount, TRUE"
)
_MOVE = (
    "UPDATE reservations SET job_id = ?2, in_flight = TRUE WHERE job_id = ?1"
    f" RETURNING {RESERVATION}"
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """The reservations of a new job, and the sums that it has changed, as rows of `_RESERVE`."""

    reservations: tuple[Reservation, ...] = ()
    wanted: tuple[Demand, ...] = ()
    sums: tuple[Row, ...] = ()


def reserve(new: NewJob) -> Operation[Reserved]:
    """Reserve what a new job may cost. Raises `BudgetError`; then nothing was written.

    `keep` stores the reservations once the job is stored.
    """
    job = new.job
    if new.prices is None or job.adopted_from is not None:
        return Reserved()  # a job that adopts a video takes over the reservations
    budgets = yield from locked(_owners(job))
    if not budgets:
        return Reserved()
    project = budgets.get(project_owner(job.project))
    unknown = project.at(job.created_at).unknown_price if project else None
    reservations, wanted = [], list[Demand]()
    for owner, budget in budgets.items():
        limits = budget.at(job.created_at)
        money = reserved_for(limits, new.prices, unknown)
        reservations.append(Reservation(owner, day_of(job.created_at), money))
        wanted += demands(owner, limits, job.created_at, money)
    sums = yield from _reserve(wanted, job.created_at)
    return Reserved(tuple(reservations), tuple(wanted), tuple(sums))


def _owners(job: Job) -> Sequence[str]:
    owner = project_owner(job.project)
    return (owner,) if job.key_id is None else (owner, key_owner(job.key_id))


def locked(owners: Sequence[str]) -> Operation[Mapping[str, Budget]]:
    """Return the budgets of at most two owners, and keep others from changing their sums."""
    rows = yield Statement(_LOCKED, (owners[0], owners[-1]))
    return {budget.owner: budget for budget in map(budget_of, rows)}


def _reserve(wanted: Sequence[Demand], now: Instant) -> Operation[list[Row]]:
    parameters = [
        value
        for demand in wanted
        for value in (*demand.key, demand.reserved, demand.spent, demand.most)
    ]
    while True:
        if rows := (yield Statement(_reserving(len(wanted)), parameters)):
            return rows
        found = yield from concurrently([query(_USED, demand.key) for demand in wanted])
        used = _by_key(row for rows in found for row in rows)
        if (error := refusal(wanted, used, now)) is not None:
            raise error
        # A job of the same transaction has ended in between: there is room now.


def _by_key(rows: Iterable[Row]) -> Mapping[SumKey, int]:
    return {SumKey(owner, period, unit): used for owner, period, unit, used in rows}


@lru_cache(maxsize=16)
def _reserving(count: int) -> str:
    rows = (
        ", ".join(
            f"CAST(?{row * len(_DEMAND) + number} AS {kind})"
            for number, kind in enumerate(_DEMAND, start=1)
        )
        for row in range(count)
    )
    return _RESERVE.format(rows=", ".join(f"({row})" for row in rows))


def keep(reservations: Iterable[tuple[str, Reservation]]) -> Operation[None]:
    """Store reservations, each of a stored job."""
    statements = tuple(
        Statement(_KEEP, (job_id, *reservation_values(reservation)))
        for job_id, reservation in reservations
    )
    if statements:
        yield StatementBatch(statements)


def announce(reserved: Reserved, now: Instant) -> Operation[bool]:
    """Store the notices that the sums are worth. Return True if an endpoint gets one."""
    announced = False
    sums = {SumKey(*row[:3]): row[3:] for row in reserved.sums}
    for demand in reserved.wanted:
        if demand.most is None:
            continue
        used, warned_at, reached_at = sums[demand.key]
        if used * 100 >= demand.most * WARNING_PERCENT:
            reported = {
                EventName.BUDGET_WARNING: warned_at,
                EventName.BUDGET_REACHED: reached_at,
            }
            announced = (yield from notices.announce(demand, used, reported, now)) or announced
    return announced


def settle(job_id: str, bill: Bill) -> Operation[list[Spent]]:
    """End a job's reservations by its bill. Those of an unresolved job keep their money.

    Return what was spent of each budget.
    """
    unresolved = bill.ending is BillOutcome.UNRESOLVED
    rows = yield Statement(_LAND if unresolved else _DELETE, (job_id,))
    if not rows:
        return []
    reservations = [reservation_of(row) for row in rows]
    budgets = yield from locked(sorted({each.owner for each in reservations}))
    yield from change_sums(
        change
        for each in reservations
        if each.owner in budgets
        for change in each.settled(bill, budgets[each.owner].limits)
    )
    return [
        Spent(each.owner, each.day, each.spent(bill, budgets[each.owner].limits))
        for each in reservations
        if each.owner in budgets
    ]


def move(before: str, after: str) -> Operation[None]:
    """Give an unresolved job's reservations to the job that adopts its video."""
    rows = yield Statement(_MOVE, (before, after))
    owners = sorted({row[0] for row in rows})
    if owners:
        yield from locked(owners)
        yield from change_sums(SumChange(SumKey(owner, NOW, JOBS), reserved=1) for owner in owners)


def change_sums(changes: Iterable[SumChange]) -> Operation[None]:
    """Add to sums; those that do not exist start at 0. Their budgets must be locked."""
    totals: dict[SumKey, SumChange] = {}
    for change in changes:
        total = totals.get(change.key, SumChange(change.key))
        totals[change.key] = replace(
            total, reserved=total.reserved + change.reserved, spent=total.spent + change.spent
        )
    statements = [
        Statement(_CHANGE, (*total.key, total.reserved, total.spent)) for total in totals.values()
    ]
    if statements:
        yield StatementBatch(tuple(statements))
