"""Budgets for the tests, and jobs that reserve something in them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from reelhook.domain.budget import BudgetLimits, day_of, month_of, project_owner
from reelhook.domain.money import MILLION, Money
from reelhook.domain.price import Price
from reelhook.domain.reservation import bill_of
from reelhook.ports import NewJob
from reelhook.storage.store import Store

from .samples import NOW, new

DEFAULT = project_owner("default")
DAY = day_of(NOW)
MONTH = month_of(DAY)


def usd(amount: float) -> Price:
    return Price(amount, "USD")


def limits(
    *,
    day: float | None = None,
    month: float | None = None,
    unknown: float | None = None,
    unit: str = "USD",
    jobs_per_day: int | None = None,
    jobs_in_flight: int | None = None,
) -> BudgetLimits:
    """Return limits in whole units."""
    return BudgetLimits(
        jobs_in_flight=jobs_in_flight,
        jobs_per_day=jobs_per_day,
        money_per_day={} if day is None else {unit: round(day * MILLION)},
        money_per_month={} if month is None else {unit: round(month * MILLION)},
        unknown_price=None if unknown is None else Money(round(unknown * MILLION), unit),
    )


async def limited(store: Store, wanted: BudgetLimits, owner: str = DEFAULT, at: int = NOW) -> None:
    """Set the limits of a budget."""
    await store.set_budget(owner, wanted, at, bill_of)


def priced(
    job_id: str,
    *prices: Price | None,
    at: int = NOW,
    project: str = "default",
    key_id: str | None = None,
) -> NewJob:
    """A new job that may cost any of these prices."""
    made = new(job_id, at=at)
    estimate = prices[0] if prices else None
    job = replace(
        made.job,
        project=project,
        key_id=key_id,
        estimated_amount=estimate.amount if estimate else None,
        estimated_unit=estimate.unit if estimate else None,
    )
    return replace(made, job=job, prices=prices)


class Total(NamedTuple):
    """A sum in whole units."""

    reserved: float = 0
    spent: float = 0


async def sums(
    store: Store, owner: str = DEFAULT, at: int = NOW
) -> Mapping[tuple[str, str], Total]:
    """Return the sums that are not zero."""
    state = await store.budget(owner, at)
    scales = {key: 1 if key[1] == "jobs" else MILLION for key in state.sums}
    return {
        key: Total(each.reserved / scales[key], each.spent / scales[key])
        for key, each in state.sums.items()
        if any(each)
    }


async def money(store: Store, owner: str = DEFAULT, at: int = NOW) -> tuple[float, float]:
    """Return what is reserved and spent in this month, in USD."""
    each = (await sums(store, owner, at)).get((month_of(day_of(at)), "USD"), Total())
    return each.reserved, each.spent


async def in_flight(store: Store, owner: str = DEFAULT) -> float:
    """Return the number of jobs in flight."""
    return (await sums(store, owner)).get(("now", "jobs"), Total()).reserved
