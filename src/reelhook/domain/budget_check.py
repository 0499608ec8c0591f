"""Checks of the limits that a person sets."""

from collections.abc import Collection, Mapping

from reelhook.domain.budget import BudgetLimits
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.money import AMOUNT_MAX, MILLION, is_currency
from reelhook.domain.over_budget import UnknownUnitError
from reelhook.domain.problem import Problem

_MONEY = ("money_per_day", "money_per_month")
_JOBS = ("jobs_in_flight", "jobs_per_day")


def priced_units(catalog: Catalog) -> frozenset[str]:
    """Return the units of the prices that are known here; those with a rate are in a currency."""
    found = set()
    tables = [
        (account, account.price_of(route.model, route.limits))
        for route in catalog.models()
        for account in route.accounts
    ]
    tables += [
        (account, table)
        for account in catalog.accounts.values()
        for table in account.prices.values()
    ]
    for account, table in tables:
        if table is not None:
            rate = account.rate_of(table.unit, table)
            found.add(table.unit if rate is None else rate.unit)
    return frozenset(found)


def check_limits(limits: BudgetLimits, units: Collection[str]) -> None:
    """Raise `InvalidRequestError` for limits that can't be stored or that would count nothing.

    `units` are those of known prices that are no currencies.
    """
    for name in _JOBS:
        count = getattr(limits, name)
        if count is not None and not 0 <= count <= AMOUNT_MAX:
            raise InvalidRequestError(name, Problem.RANGE, least=0, most=AMOUNT_MAX)
    amounts = [(name, getattr(limits, name)) for name in _MONEY]
    if (unknown := limits.unknown_price) is not None:
        amounts.append(("unknown_price", {unknown.unit: unknown.amount}))
        if not limits.counts(unknown.unit):
            limited = " or ".join(sorted(limits.units))
            raise InvalidRequestError(
                f"unknown_price.{unknown.unit}",
                f"The unknown price must be in a unit that is limited: {limited}",
            )
    for name, table in amounts:
        for unit, amount in table.items():
            if not (is_currency(unit) or unit in units):
                raise UnknownUnitError(f"{name}.{unit}", unit)
            if not 0 <= amount <= AMOUNT_MAX * MILLION:
                raise InvalidRequestError(f"{name}.{unit}", Problem.RANGE, least=0, most=AMOUNT_MAX)


def check_raise(limits: BudgetLimits, raised: BudgetLimits, until: Instant, now: Instant) -> None:
    """Raise `InvalidRequestError` for a raise that ends too early, or that raises no limit."""
    if until <= now:
        raise InvalidRequestError("until", "A raise must end in the future")
    if raised.unknown_price is not None:
        raise InvalidRequestError("unknown_price", "The unknown price is no limit: set it instead")
    for name in _JOBS:
        _check_higher(name, {None: getattr(limits, name)}, {None: getattr(raised, name)})
    for name in _MONEY:
        _check_higher(name, getattr(limits, name), getattr(raised, name))


def _check_higher(
    name: str, limits: Mapping[str | None, int | None], raised: Mapping[str | None, int | None]
) -> None:
    for unit, amount in raised.items():
        limit = limits.get(unit)
        if amount is not None and (limit is None or amount <= limit):
            field, words = name if unit is None else f"{name}.{unit}", name.replace("_", " ")
            of = words if unit is None else f"{words} in {unit}"
            raise InvalidRequestError(field, f"A raise of {of} must be higher than its limit")
