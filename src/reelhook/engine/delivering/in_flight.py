"""An attempt that is in flight. The final event of its job may preempt it."""

import asyncio
from dataclasses import dataclass

from reelhook.domain.delivery import STALE_ATTEMPT_SECONDS
from reelhook.domain.event import Instant
from reelhook.ports import DueDelivery, Lease

STALE_MILLISECONDS = round(STALE_ATTEMPT_SECONDS * 1000)


@dataclass(slots=True)
class InFlight:
    """A delivery whose attempt is in flight.

    `version` is the endpoints' version at which it was read; None if it must be read again.
    `limit` can cut the attempt short.
    """

    due: DueDelivery
    version: int | None
    lease: Lease
    started_at: Instant
    limit: asyncio.Timeout | None = None

    @property
    def preemptible(self) -> bool:
        """True if the final event of the job, once it waits, may replace this attempt.

        Attempts to send progress have a shorter timeout instead.
        """
        delivery = self.due.delivery
        return delivery.status_sequence is not None and delivery.terminal_at is None

    @property
    def stale_at(self) -> Instant:
        """The time from which the final event may replace this attempt."""
        return self.started_at + STALE_MILLISECONDS

    def preempt(self) -> None:
        """Cut the attempt short. A second call does nothing: the attempt may still be ending."""
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())
            self.limit = None
