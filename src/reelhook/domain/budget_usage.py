"""The use of a budget: each of its limits next to what is reserved and spent."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.budget import JOBS, NOW, BudgetLimits, LimitKind, day_of, month_of, resets_at
from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of one limit in its present period. `limit` None: it is counted, but not limited.

    For money the amounts are millionths of `unit`. `resets_at` None: the period has no end.
    """

    kind: LimitKind
    unit: str
    limit: int | None
    reserved: int
    spent: int
    resets_at: Instant | None

    @property
    def over(self) -> bool:
        """True if more is in use than the limit allows."""
        return self.limit is not None and self.reserved + self.spent > self.limit


def usage(
    limits: BudgetLimits, sums: Mapping[tuple[str, str], tuple[int, int]], now: Instant
) -> tuple[Usage, ...]:
    """Return the use of each limit, and of units that are counted without a limit.

    `sums` are reserved and spent amounts by period and unit.
    """
    day = day_of(now)
    lines = [
        (LimitKind.JOBS_IN_FLIGHT, NOW, JOBS, limits.jobs_in_flight),
        (LimitKind.JOBS_PER_DAY, day, JOBS, limits.jobs_per_day),
    ]
    for kind, period, amounts in (
        (LimitKind.MONEY_PER_DAY, day, limits.money_per_day),
        (LimitKind.MONEY_PER_MONTH, month_of(day), limits.money_per_month),
    ):
        counted = {unit for of, unit in sums if of == period and unit != JOBS}
        units = sorted(counted | amounts.keys())
        lines += [(kind, period, unit, amounts.get(unit)) for unit in units]
    return tuple(
        Usage(kind, unit, limit, *sums.get((period, unit), (0, 0)), resets_at(kind, now))
        for kind, period, unit, limit in lines
    )
