"""Port to the budgets of projects and keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from reelhook.domain.audit import AuditEntry
from reelhook.domain.budget import Budget, BudgetLimits
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.reservation import Bill


class Sum(NamedTuple):
    """Millionths of a unit, or numbers of jobs."""

    reserved: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget with its sums of today, of this month and of now, by period and unit."""

    budget: Budget
    sums: Mapping[tuple[str, str], Sum] = field(default_factory=dict)


class BudgetStore(Protocol):
    """Reads and sets budgets. `audit` is the entry of a change that a caller made."""

    async def budget(self, owner: str, now: Instant) -> BudgetState:
        """Return the budget of an owner; without limits, if none were set."""
        ...

    async def set_budget(
        self,
        owner: str,
        limits: BudgetLimits,
        now: Instant,
        bill: Callable[[Job], Bill],
        audit: AuditEntry | None = None,
    ) -> BudgetState:
        """Replace the limits of an owner, and end a raise.

        The first limits count what the stored jobs of the present periods have reserved and spent;
        no job is stored in the meantime. `bill` returns the bill of a job that has ended. It must
        be pure: it is called in another thread.
        """
        ...

    async def raise_budget(
        self,
        owner: str,
        raised: BudgetLimits,
        until: Instant,
        now: Instant,
        audit: AuditEntry | None = None,
    ) -> BudgetState:
        """Let higher limits hold until then. Raises `BudgetNotSetError`."""
        ...
