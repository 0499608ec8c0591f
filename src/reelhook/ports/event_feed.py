"""The feed: the events of all jobs in the order in which they were written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelhook.ports.webhooks import StoredEvent


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of the feed. `more` is True if other events follow.

    `restarted`: the event to continue after is no longer stored, so the page starts with the oldest
    one.
    """

    events: list[StoredEvent]
    more: bool
    restarted: bool = False


class FeedStore(Protocol):
    """Reads the feed."""

    async def events_after(
        self, event_id: str | None, limit: int, project: str | None = None
    ) -> EventPage:
        """Return events of all jobs, or of one project's, in the order of the feed.

        Raises `InvalidRequestError` for a text that is not an event's id. Another project's event
        counts as one that is no longer stored.
        """
        ...


class FollowStore(Protocol):
    """Finds jobs that have new events."""

    async def last_position(self) -> int:
        """Return the position of the feed's last event; 0 if there is none."""
        ...

    async def jobs_of_events_after(self, position: int, limit: int) -> list[tuple[int, str]]:
        """Return the position and the job of each event after this position, in order."""
        ...

    async def sequences(self, job_ids: Sequence[str], project: str | None = None) -> dict[str, int]:
        """Return the sequence of each job's last event. Jobs that don't exist are left out."""
        ...
