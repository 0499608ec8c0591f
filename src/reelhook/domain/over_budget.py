"""Refusals of jobs for which a budget has no room. Nothing was stored, and nothing was paid."""

from math import ceil
from typing import TYPE_CHECKING

from reelhook.domain.errors import Fact, InvalidRequestError, JobConflictError, ReelhookError
from reelhook.domain.event import Instant
from reelhook.domain.money import whole

if TYPE_CHECKING:
    from reelhook.domain.budget import Demand

IN_FLIGHT_WAIT_SECONDS = 10
"""The wait that a client is asked for while too many of its jobs are in flight."""


class BudgetError(ReelhookError):
    """A budget does not allow a new job."""


class OverBudgetError(BudgetError):
    """A budget has no room for a new job: a sum that is `used` does not allow the `demand`.

    `resets_at` is the end of the period; None: it has none.
    """

    code = "over_budget"

    def __init__(
        self, demand: "Demand", used: int, *, now: Instant, resets_at: Instant | None
    ) -> None:
        facts: dict[str, Fact] = {
            "owner": demand.key.owner.partition(":")[0],
            "unit": demand.key.unit,
            "limit": self._shown(demand.most or 0),
            "used": self._shown(used),
            "needed": self._shown(demand.added),
        }
        super().__init__(
            "The {owner}'s budget has no room: {used} of {limit} {unit} are used, "
            "and the job needs {needed}".format_map(facts),
            problem=demand.kind.value,
            facts=facts,
        )
        self.demand = demand
        self.used = used
        self.kind = demand.kind.value
        self.resets_at = resets_at
        self.wait_seconds = (
            IN_FLIGHT_WAIT_SECONDS if resets_at is None else max(1, ceil((resets_at - now) / 1000))
        )

    def _shown(self, amount: int) -> int | float:
        return whole(amount)


class JobLimitError(OverBudgetError):
    """A budget allows no more jobs for now: too many of today, or too many in flight."""

    code = "job_limit_reached"

    def _shown(self, amount: int) -> int | float:
        return amount


class UnknownPriceError(BudgetError):
    """A job's price is not known, and no budget says what to reserve for it."""

    code = "over_budget"
    problem = "unknown_price"

    def __init__(self, units: tuple[str, ...]) -> None:
        super().__init__(
            f"The job's price is not known in {' or '.join(units)}, which a budget limits; "
            "set its unknown price, or name a model with a known price",
            facts={"units": units},
        )


class BudgetNotSetError(JobConflictError):
    """A budget without limits can't be raised."""

    problem = "budget_not_set"

    def __init__(self) -> None:
        super().__init__("Nothing is limited here, so there is nothing to raise; set limits first")


class UnknownUnitError(InvalidRequestError):
    """A budget names a unit that is no currency and that no known price has."""

    problem = "unknown_unit"

    def __init__(self, field: str, unit: str) -> None:
        super().__init__(
            field, f"{unit} is neither a currency such as USD nor a unit of a known price"
        )
