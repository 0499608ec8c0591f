"""Repair of times that were stored while the clock was wrong."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class LongestWaits:
    """The longest time ahead of now at which something may be due, in milliseconds.

    `retries`: for a delivery with no, one, two attempts, and so on. `retry_after`: for one whose
    receiver asked for it. `probe`: for a probe. `submit`: for a job that waits to be created.
    `file`: for a video that waits to be archived. `check`: for a late check.
    """

    retries: tuple[int, ...]
    retry_after: int
    probe: int
    submit: int
    file: int
    check: int


class ClockRepairStore(Protocol):
    """Repairs stored times."""

    async def repair_due_times(self, now: Instant, longest: LongestWaits) -> None:
        """Make everything due now that is due later than the longest possible wait."""
        ...
