"""Budgets and reservations as rows."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from reelhook.domain.budget import Budget, BudgetLimits
from reelhook.domain.money import Money
from reelhook.domain.reservation import Reservation

BUDGET = "owner, limits, raised, raised_until"
RESERVATION = "owner, day, unit, amount, in_flight"


def budget_of(row: Sequence[Any]) -> Budget:
    """Read `BUDGET`."""
    owner, limits, raised, until = row
    return Budget(owner, limits_of(limits), None if raised is None else limits_of(raised), until)


@lru_cache(maxsize=1024)
def limits_of(text: str) -> BudgetLimits:
    """Read limits. They are read for every new job, and seldom change."""
    named: dict[str, Any] = json.loads(text)
    unknown: Mapping[str, int] = named.pop("unknown_price", {})
    price = next((Money(amount, unit) for unit, amount in unknown.items()), None)
    return BudgetLimits(**named, unknown_price=price)


def limits_text(limits: BudgetLimits) -> str:
    """Write limits."""
    unknown = limits.unknown_price
    named = {
        "jobs_in_flight": limits.jobs_in_flight,
        "jobs_per_day": limits.jobs_per_day,
        "money_per_day": dict(limits.money_per_day),
        "money_per_month": dict(limits.money_per_month),
        "unknown_price": {} if unknown is None else {unknown.unit: unknown.amount},
    }
    return json.dumps({name: value for name, value in named.items() if value not in (None, {})})


def reservation_of(row: Sequence[Any]) -> Reservation:
    """Read `RESERVATION`."""
    owner, day, unit, amount, in_flight = row
    money = None if unit is None else Money(amount, unit)
    return Reservation(owner, day, money, bool(in_flight))


def reservation_values(reservation: Reservation) -> tuple[Any, ...]:
    """Write `RESERVATION`."""
    money = reservation.money
    return (
        reservation.owner,
        reservation.day,
        None if money is None else money.unit,
        0 if money is None else money.amount,
        reservation.in_flight,
    )
