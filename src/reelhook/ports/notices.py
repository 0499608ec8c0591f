"""Port to notices: events of no job, each with a delivery of its own at each endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.budget import Demand
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.domain.notice import BudgetNotice
from reelhook.ports.leases import Lease


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice that is due at an endpoint. `attempts` were made before."""

    notice: BudgetNotice
    endpoint: Endpoint
    attempts: int


class NoticeStore(Protocol):
    """Stores notices."""

    async def due_notices(self, now: Instant, limit: int) -> Sequence[DueNotice]:
        """Return the notices that are due, oldest first."""
        ...

    async def next_notice_at(self) -> Instant | None:
        """Return the time at which the next notice is due; None: none waits."""
        ...

    async def record_notice(
        self, due: DueNotice, attempts: int, due_at: Instant | None, lease: Lease | None
    ) -> None:
        """Store the number of attempts, and when the next one is due; None: no more are made.

        Nothing is stored if the lease was lost.
        """
        ...

    async def forget_notices(self, before: Instant) -> None:
        """Delete notices that are older than that and wait for nothing."""
        ...


class RefusalReports(Protocol):
    """Reports that a budget has refused a job."""

    async def report_reached(self, demand: Demand, used: int, now: Instant) -> bool:
        """Store the notice that the limit of this demand is reached, once per period.

        Return False if there is no endpoint that asks for it, or it was stored before.
        """
        ...
