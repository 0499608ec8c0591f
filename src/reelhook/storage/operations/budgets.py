"""Operations on the limits of budgets. The first limits of an owner count its present jobs."""

from collections.abc import Callable, Iterator

from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import budget_facts
from reelhook.domain.budget import (
    JOBS,
    NO_LIMITS,
    NOW,
    Budget,
    BudgetLimits,
    SumKey,
    day_of,
    month_of,
    reserved_for,
)
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.domain.money import Money
from reelhook.domain.over_budget import BudgetNotSetError, UnknownPriceError
from reelhook.domain.price import Price
from reelhook.domain.reservation import (
    Bill,
    BillOutcome,
    Reservation,
    SumChange,
    spent_by,
)
from reelhook.ports import BudgetState, Sum
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations.budget_rows import BUDGET, budget_of, limits_text
from reelhook.storage.operations.new_deliveries import EXCLUDE_NEW_JOBS
from reelhook.storage.operations.reservations import change_sums, keep

_ONE = f"SELECT {BUDGET} FROM budgets WHERE owner = ?1"
_OF_PROJECT = (
    f"SELECT {BUDGET} FROM budgets WHERE owner ="
    " (SELECT 'project:' || project FROM api_keys WHERE id = ?1)"
)
_SUMS = (
    "SELECT period, unit, reserved, spent FROM spending WHERE owner = ?1 AND period IN (?2, ?3, ?4)"
)
_SET = (
    "INSERT INTO budgets (owner, limits) VALUES (?1, ?2) ON CONFLICT (owner) DO UPDATE SET"
    " limits = excluded.limits, raised = NULL, raised_until = NULL"
)
_RAISE = "UPDATE budgets SET raised = ?2, raised_until = ?3 WHERE owner = ?1 RETURNING 1"
# A job that was registered has reserved nothing, and an adopted one was accepted as another.
_REGISTERED = "(adopted_from IS NULL AND provider_job_id IS NOT NULL AND submit_attempts = 0)"
_UNRESOLVED = "(coalesce(code, '') = 'submission_unknown' AND doubt_closed_at IS NULL)"
_UNFINISHED = "status IN ('accepted', 'submitting', 'queued', 'processing')"
# Locked, so that a job that ends in the meantime is counted once: here, or when it ends.
_HELD = f"""
SELECT id, created_at, estimated_amount, estimated_unit, {_UNFINISHED} FROM jobs
WHERE {{owned}} AND ({_UNFINISHED} OR {_UNRESOLVED}) AND NOT {_REGISTERED} /*pg FOR UPDATE */
"""
_ENDED = f"""
SELECT created_at / {DAY_MILLISECONDS}, account, provider, model, status, code, stopped,
  provider_job_id IS NOT NULL, missing_since IS NOT NULL, accepted_at IS NOT NULL, charged_unit,
  estimated_unit, count(*), sum(charged_amount), sum(estimated_amount)
FROM jobs WHERE {{owned}} AND created_at >= ?2 AND NOT {_UNFINISHED} AND NOT {_UNRESOLVED}
  AND NOT {_REGISTERED}
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
"""
_TODAY = f"""
SELECT count(*) FROM jobs
WHERE {{owned}} AND created_at >= ?2 AND adopted_from IS NULL AND NOT {_REGISTERED}
"""


def state(owner: str, now: Instant) -> Operation[BudgetState]:
    """Return a budget with its sums."""
    rows = yield Statement(_ONE, (owner,))
    budget = budget_of(rows[0]) if rows else Budget(owner, NO_LIMITS)
    day = day_of(now)
    sums = yield Statement(_SUMS, (owner, day, month_of(day), NOW))
    return BudgetState(budget, {(row[0], row[1]): Sum(row[2], row[3]) for row in sums})


def set_limits(
    owner: str,
    limits: BudgetLimits,
    now: Instant,
    bill: Callable[[Job], Bill],
    audit: AuditEntry | None = None,
) -> Operation[BudgetState]:
    """Replace the limits of an owner; see `BudgetStore.set_budget`."""
    yield EXCLUDE_NEW_JOBS
    known = yield Statement(_ONE, (owner,))
    yield Statement(_SET, (owner, limits_text(limits)))
    if not known:
        yield from _count(owner, limits, now, bill)
    return (yield from _recorded(audit, budget_of(known[0]) if known else None, owner, now))


def _recorded(
    audit: AuditEntry | None, before: Budget | None, owner: str, now: Instant
) -> Operation[BudgetState]:
    """Return a budget that was changed, and add the entry of its change."""
    after = yield from state(owner, now)
    if audit is not None:
        known = None if before is None else budget_facts(before)
        entry = audit.changing(known, budget_facts(after.budget))
        if not entry.empty:
            yield from trail.add(entry)
    return after


def raise_limits(
    owner: str,
    raised: BudgetLimits,
    until: Instant,
    now: Instant,
    audit: AuditEntry | None = None,
) -> Operation[BudgetState]:
    """Let higher limits hold for a while; see `BudgetStore.raise_budget`."""
    known = yield Statement(_ONE, (owner,))
    if not (yield Statement(_RAISE, (owner, limits_text(raised), until))):
        raise BudgetNotSetError
    return (yield from _recorded(audit, budget_of(known[0]), owner, now))


# -- counting what was accepted before -------------------------------------------------------------


def _count(
    owner: str, limits: BudgetLimits, now: Instant, bill: Callable[[Job], Bill]
) -> Operation[None]:
    kind, _, owner_id = owner.partition(":")
    owned = "project = ?1" if kind == "project" else "key_id = ?1"
    day = day_of(now)
    midnight = now - now % DAY_MILLISECONDS
    since = midnight - (int(day.rpartition("-")[2]) - 1) * DAY_MILLISECONDS
    unknown = limits.unknown_price
    if kind == "key" and unknown is None:
        of_project = yield Statement(_OF_PROJECT, (owner_id,))
        unknown = budget_of(of_project[0]).at(now).unknown_price if of_project else None
    held = yield Statement(_HELD.format(owned=owned), (owner_id,))
    reservations = [(row[0], _held(owner, limits, row, unknown)) for row in held]
    yield from keep(reservations)
    changes = [change for _, reservation in reservations for change in reservation.held()]
    for row in (yield Statement(_ENDED.format(owned=owned), (owner_id, since))):
        changes += _spent(owner, limits, row, bill, unknown)
    rows = yield Statement(_TODAY.format(owned=owned), (owner_id, midnight))
    changes.append(SumChange(SumKey(owner, day, JOBS), spent=rows[0][0]))
    yield from change_sums(changes)


def _held(owner: str, limits: BudgetLimits, row: Row, unknown: Money | None) -> Reservation:
    _, created_at, amount, unit, in_flight = row
    price = None if amount is None else Price(amount, unit)
    try:
        money = reserved_for(limits, [price], unknown)
    except UnknownPriceError:
        money = None
    return Reservation(owner, day_of(created_at), money, bool(in_flight))


def _spent(
    owner: str,
    limits: BudgetLimits,
    row: Row,
    bill: Callable[[Job], Bill],
    unknown: Money | None,
) -> Iterator[SumChange]:
    """Yield what jobs that ended alike have spent: their amounts are summed up."""
    day = day_of(row[0] * DAY_MILLISECONDS)
    job, count = _sum_of(row), row[12]
    charged = bill(job)
    if charged.ending is not BillOutcome.SPENT:
        return
    money = spent_by(charged, limits)
    if money is None and unknown is not None and limits.counts(unknown.unit):
        money = Money(unknown.amount * count, unknown.unit)
    if money is not None:
        for period in (day, month_of(day)):
            yield SumChange(SumKey(owner, period, money.unit), spent=money.amount)


def _sum_of(row: Row) -> Job:
    """Return a job that stands for all of one group."""
    day, account, provider, model, status, code, stopped, *rest = row[:12]
    known, missing, accepted, charged, estimated = rest
    return Job(
        id="",
        account=account,
        status=Status(status),
        created_at=day * DAY_MILLISECONDS,
        updated_at=day * DAY_MILLISECONDS,
        provider_job_id="known" if known else None,
        accepted_at=day if accepted else None,
        code=code,
        provider=provider,
        model=model,
        missing_since=day if missing else None,
        charged_amount=row[13] if charged is not None else None,
        charged_unit=charged,
        doubt_closed_at=day if code == SUBMISSION_UNKNOWN else None,
        stopped=None if stopped is None else bool(stopped),
        estimated_amount=row[14] if estimated is not None else None,
        estimated_unit=estimated,
    )
