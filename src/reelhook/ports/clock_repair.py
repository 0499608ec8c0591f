"""What a clock that was set back leaves to be mended."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class LongestWaits:
    """The longest that something may be due ahead of now, in milliseconds.

    `retries`: a delivery that was tried never, once, twice, and so on; `retry_after`: one whose
    receiver asked for it; `probe`: a probe; `submit`: a job that waits to be created.
    """

    retries: tuple[int, ...]
    retry_after: int
    probe: int
    submit: int


class MendingStore(Protocol):
    """Moments that are stored."""

    async def mend(self, now: Instant, longest: LongestWaits) -> None:
        """Make due at once what is due later than the longest wait that could have been chosen."""
        ...
