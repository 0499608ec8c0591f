"""Port for removing old records."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant

Position = tuple[int | str, ...]
"""The progress of a table's scan; () is its beginning."""


@dataclass(frozen=True, slots=True)
class Removal:
    """The number of rows one batch removed, and where the next begins; None: the scan has ended."""

    removed: int
    position: Position | None


class RetentionStore(Protocol):
    """Removes old records, oldest first, in batches small enough not to delay other writes."""

    async def remove_attempts(self, position: Position, before: Instant) -> Removal:
        """Remove attempts that began before that time."""
        ...

    async def remove_jobs(
        self, position: Position, ended_before: Instant, waiting_before: Instant
    ) -> Removal:
        """Remove jobs that ended before that time, with everything that belongs to them.

        A job whose webhooks are still waiting, whose file is being fetched, or that is looked at
        once more is kept, unless it ended before `waiting_before`.
        One whose file is in the archive loses its events, deliveries and attempts only.
        """
        ...

    async def remove_resends(self, before: Instant) -> Removal:
        """Remove runs of resends that finished before that time."""
        ...

    async def remove_files(self, position: Position, before: Instant) -> Removal:
        """Remove files that no request refers to, if they were stored before that time."""
        ...

    async def remove_endpoints(self, position: Position, before: Instant) -> Removal:
        """Remove endpoints without deliveries that are older than that time.

        They are deleted endpoints, and jobs' own URLs except those that the operator disabled.
        """
        ...
