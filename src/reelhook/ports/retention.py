"""What letting old records go asks of the store."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant

Position = tuple[int | str, ...]
"""Where a scan of a table has come to; () is its beginning."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What one batch removed, and where the next one begins; None: the scan is over."""

    removed: int
    position: Position | None


class RetentionStore(Protocol):
    """Removes old records, oldest first, in batches so small that nobody waits for them."""

    async def remove_attempts(self, position: Position, before: Instant) -> Removal:
        """Remove records of attempts that were begun before that moment."""
        ...

    async def remove_jobs(
        self, position: Position, ended_before: Instant, waiting_before: Instant
    ) -> Removal:
        """Remove jobs that ended before that moment, with all that belongs to them.

        One whose webhooks still wait is kept, unless it ended before `waiting_before`.
        """
        ...

    async def remove_resends(self, before: Instant) -> Removal:
        """Remove runs of sending anew that finished before that moment."""
        ...

    async def remove_endpoints(self, position: Position, before: Instant) -> Removal:
        """Remove endpoints that no delivery names: those that were deleted before that moment, and
        jobs' own URLs that are older, but for those that the operator disabled.
        """
        ...
