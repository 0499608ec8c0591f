"""Port to what happened lately, for people who look at it.

Each read is bounded: it counts up to a limit, or looks at the newest rows alone. None of them takes
longer as the history grows.
"""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class JobTally:
    """The number of jobs of one hour (from 0) by model, status and code; an empty code: none."""

    hour: int
    provider: str
    model: str
    status: str
    code: str
    jobs: int


@dataclass(frozen=True, slots=True)
class AttemptTally:
    """The number of attempts of one hour (from 0) at one endpoint; `succeeded`: a 2xx response."""

    hour: int
    endpoint_id: str
    succeeded: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class RenderTime:
    """The time from a provider's acceptance to the end of a completed job, in milliseconds."""

    provider: str
    model: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Lag:
    """The time from an event to its arrival at an endpoint, in milliseconds."""

    endpoint_id: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class LatestEvent:
    """An event, with its job's title. `kind` is that of `EventKind`."""

    event_id: str
    job_id: str
    kind: str
    status: str
    progress: int
    occurred_at: Instant
    project: str
    title: str


class ActivityStore(Protocol):
    """Reads what happened lately. With a `project`, it is that of this project alone."""

    async def unfinished_counts(self, most: int, project: str | None = None) -> dict[str, int]:
        """Return the number of jobs of each status that is not terminal, counted up to `most`."""
        ...

    async def oldest_unfinished(self, project: str | None = None) -> Instant | None:
        """Return the time at which the oldest unfinished job was created."""
        ...

    async def deliveries_due(self, most: int, project: str | None = None) -> int:
        """Return the number of deliveries with something to send, counted up to `most`."""
        ...

    async def job_tallies(
        self, since: Instant, most: int, project: str | None = None
    ) -> list[JobTally]:
        """Return the numbers of the newest jobs, at most `most`, that were created since then."""
        ...

    async def attempt_tallies(
        self, since: Instant, most: int, project: str | None = None
    ) -> list[AttemptTally]:
        """Return the numbers of the newest attempts, at most `most`, that began since then."""
        ...

    async def latest_render_times(self, most: int, project: str | None = None) -> list[RenderTime]:
        """Return the times of the newest completed jobs."""
        ...

    async def webhook_lags(self, most: int, project: str | None = None) -> list[Lag]:
        """Return the times of the first attempts that succeeded among the newest attempts."""
        ...

    async def last_arrival(self, project: str | None = None) -> Instant | None:
        """Return the time of the newest attempt that succeeded, if that is a recent one."""
        ...

    async def latest_events(self, limit: int, project: str | None = None) -> list[LatestEvent]:
        """Return the latest changes of status among the newest events, newest first."""
        ...
