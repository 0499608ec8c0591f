"""Budgets: limits of the jobs and of the money of a project or a key, and what a new job reserves.

Sums are kept by owner, period and unit. A period is a day or a month (UTC) in which jobs were
accepted, or `NOW` for jobs in flight. The unit of numbers of jobs is `JOBS`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.money import Money
from reelhook.domain.over_budget import JobLimitError, OverBudgetError, UnknownPriceError
from reelhook.domain.price import Price

JOBS = "jobs"
NOW = "now"
WARNING_PERCENT = 80


class LimitKind(StrEnum):
    """A limit of a budget. Of several that are reached, an error names the first one here."""

    MONEY_PER_MONTH = "money_per_month"
    MONEY_PER_DAY = "money_per_day"
    JOBS_PER_DAY = "jobs_per_day"
    JOBS_IN_FLIGHT = "jobs_in_flight"


def project_owner(project: str) -> str:
    """Return the owner of a project's budget."""
    return f"project:{project}"


def key_owner(key_id: str) -> str:
    """Return the owner of a key's budget."""
    return f"key:{key_id}"


# -- periods ---------------------------------------------------------------------------------------


def day_of(at: Instant) -> str:
    """Return the day of an instant (UTC), like `2026-11-29`."""
    return _day(at // DAY_MILLISECONDS)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_MILLISECONDS // 1000, UTC).strftime("%Y-%m-%d")


def month_of(day: str) -> str:
    """Return the month of a day, like `2026-11`."""
    return day[:7]


def resets_at(kind: LimitKind, at: Instant) -> Instant | None:
    """Return the end of the limit's period that an instant is in; None: it has no end."""
    time = datetime.fromtimestamp(at / 1000, UTC)
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    match kind:
        case LimitKind.JOBS_IN_FLIGHT:
            return None
        case LimitKind.MONEY_PER_MONTH:
            end = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            end = midnight + timedelta(days=1)
    return round(end.timestamp() * 1000)


# -- limits ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The limits of a budget; None, or a unit that is missing: no limit.

    Amounts are millionths of their unit. `unknown_price` is reserved for a job whose price is not
    known. Without it, such a job is refused if any money is limited.
    """

    jobs_in_flight: int | None = None
    jobs_per_day: int | None = None
    money_per_day: Mapping[str, int] = field(default_factory=dict)
    money_per_month: Mapping[str, int] = field(default_factory=dict)
    unknown_price: Money | None = None

    def counts(self, unit: str) -> bool:
        """Return True if amounts of this unit count: it is limited, or no money is."""
        per_day, per_month = self.money_per_day, self.money_per_month
        return unit in per_day or unit in per_month or not (per_day or per_month)

    @property
    def units(self) -> frozenset[str]:
        """The units in which money is limited."""
        return frozenset(self.money_per_day) | frozenset(self.money_per_month)

    def raised_by(self, other: "BudgetLimits") -> "BudgetLimits":
        """Return the limits with those of `other` that are higher. What is not limited stays so."""
        return replace(
            self,
            jobs_in_flight=_higher(self.jobs_in_flight, other.jobs_in_flight),
            jobs_per_day=_higher(self.jobs_per_day, other.jobs_per_day),
            money_per_day=_all_higher(self.money_per_day, other.money_per_day),
            money_per_month=_all_higher(self.money_per_month, other.money_per_month),
        )

    def names(self) -> frozenset[tuple[str, str | None]]:
        """Return the name of each limit that is set, with its unit."""
        found: set[tuple[str, str | None]] = set()
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Mapping):
                found |= {(one.name, unit) for unit in value}
            elif value is not None:
                found.add((one.name, None))
        return frozenset(found)


def _higher(limit: int | None, other: int | None) -> int | None:
    return limit if limit is None or other is None else max(limit, other)


def _all_higher(limits: Mapping[str, int], others: Mapping[str, int]) -> Mapping[str, int]:
    return {unit: max(limit, others.get(unit, limit)) for unit, limit in limits.items()}


NO_LIMITS = BudgetLimits()


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of an owner. `raised` are the higher ones that hold until `raised_until`."""

    owner: str
    limits: BudgetLimits
    raised: BudgetLimits | None = None
    raised_until: Instant | None = None

    def at(self, now: Instant) -> BudgetLimits:
        """Return the limits in force."""
        if self.raised is None or self.raised_until is None or now >= self.raised_until:
            return self.limits
        return self.limits.raised_by(self.raised)


# -- reserving -------------------------------------------------------------------------------------


class SumKey(NamedTuple):
    """The identity of a sum."""

    owner: str
    period: str
    unit: str


@dataclass(frozen=True, slots=True)
class Demand:
    """An addition of a new job to one sum, and the limit of the sum; None: no limit."""

    key: SumKey
    kind: LimitKind
    reserved: int
    spent: int
    most: int | None

    @property
    def added(self) -> int:
        """The whole addition."""
        return self.reserved + self.spent


def counted(limits: BudgetLimits, price: Price | None) -> Money | None:
    """Return a price, if it is known and in a unit that the limits count."""
    if price is None or price.unit == JOBS or not limits.counts(price.unit):
        return None  # `JOBS` is the unit of numbers of jobs, not of money
    return Money.of(price)


def reserved_for(
    limits: BudgetLimits, prices: Sequence[Price | None], unknown_price: Money | None = None
) -> Money | None:
    """Return what a job reserves that may cost any of these prices; None: nothing is limited.

    It is the highest of them. If one is not known, it is at least the limits' own unknown price, or
    else `unknown_price`, in a unit that the limits count. Raises `UnknownPriceError` if there is
    neither and money is limited.
    """
    known = [money for price in prices if (money := counted(limits, price)) is not None]
    if known and len(known) == len(prices) and len({money.unit for money in known}) == 1:
        return max(known)
    instead = (limits.unknown_price, unknown_price)
    unknown = next(
        (each for each in instead if each is not None and limits.counts(each.unit)), None
    )
    if unknown is None:
        if limits.units:
            raise UnknownPriceError(tuple(sorted(limits.units)))
        return None
    return max([unknown, *(money for money in known if money.unit == unknown.unit)])


def demands(
    owner: str, limits: BudgetLimits, at: Instant, money: Money | None
) -> tuple[Demand, ...]:
    """Return what a job that is accepted at this time adds to the sums of an owner."""
    day = day_of(at)
    month = month_of(day)
    jobs = (
        Demand(SumKey(owner, day, JOBS), LimitKind.JOBS_PER_DAY, 0, 1, limits.jobs_per_day),
        Demand(SumKey(owner, NOW, JOBS), LimitKind.JOBS_IN_FLIGHT, 1, 0, limits.jobs_in_flight),
    )
    if money is None:
        return jobs
    amount, unit = money.amount, money.unit
    of_day, of_month = limits.money_per_day.get(unit), limits.money_per_month.get(unit)
    return (
        *jobs,
        Demand(SumKey(owner, day, unit), LimitKind.MONEY_PER_DAY, amount, 0, of_day),
        Demand(SumKey(owner, month, unit), LimitKind.MONEY_PER_MONTH, amount, 0, of_month),
    )


def refusal(
    wanted: Iterable[Demand], used: Mapping[SumKey, int], now: Instant
) -> OverBudgetError | None:
    """Return the error of the first limit that does not allow its demand; None: all do."""
    order = list(LimitKind)
    for demand in sorted(wanted, key=lambda demand: order.index(demand.kind)):
        before = used.get(demand.key, 0)
        if demand.most is not None and before + demand.added > demand.most:
            return error_of(demand, before, now)
    return None


def error_of(demand: Demand, used: int, now: Instant) -> OverBudgetError:
    """Return the error of a demand that its limit does not allow."""
    error = OverBudgetError if demand.key.unit != JOBS else JobLimitError
    return error(demand, used, now=now, resets_at=resets_at(demand.kind, now))
