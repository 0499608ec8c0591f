"""The use cases of a dashboard: the jobs and webhooks in work, and those of the last day.

Results are kept for a few seconds, so that many open pages cost as much as one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, TypeVar

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.ports import (
    ActivityStore,
    AttemptTally,
    Clock,
    CostLine,
    JobTally,
    Lag,
    LatestEvent,
    RenderTime,
)

T = TypeVar("T")
COUNTED_MAX = 1000
"""The number up to which jobs and deliveries are counted."""
LOOKED_AT_MAX = 10_000
"""The newest jobs and attempts of a day that are looked at."""
SAMPLES_MAX = 1000
FRESH_MILLISECONDS = 400
"""The time for which a cheap read is used again; one that looks at many rows is kept longer."""
KEPT_MILLISECONDS = 5000
COSTS_KEPT_MILLISECONDS = 15_000
STALE_FACTOR = 6
"""A long read is still used up to this multiple of its time, while the next one is running."""
HOURS = 24
_HOUR = 3_600_000
_CACHED_MAX = 500


@dataclass(frozen=True, slots=True)
class InWork:
    """The unfinished jobs by status, and the webhooks that wait, each counted up to a limit.

    `oldest_at` is the time at which the oldest unfinished job was created.
    """

    jobs: dict[str, int]
    oldest_at: Instant | None
    deliveries_due: int
    last_arrival_at: Instant | None
    counted_max: int = COUNTED_MAX

    @property
    def total(self) -> int:
        """The number of unfinished jobs."""
        return sum(self.jobs.values())


@dataclass(frozen=True, slots=True)
class LastDay:
    """The jobs and attempts of the last 24 hours, as far as they were looked at."""

    jobs: Sequence[JobTally]
    attempts: Sequence[AttemptTally]
    lags: Sequence[Lag]
    looked_at_max: int = LOOKED_AT_MAX


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The median, and the times that 90 % and 95 % of the samples did not exceed."""

    p50: float
    p90: float
    p95: float
    samples: int


@dataclass
class _Kept:
    read_at: Instant
    task: asyncio.Task[Any]
    meanwhile: "_Kept | None" = None
    """An earlier read, which is used until this one is done."""


def percentiles(samples: Sequence[float]) -> Percentiles | None:
    """Return the percentiles of samples; None if there are none."""
    if not samples:
        return None
    if len(samples) == 1:
        return Percentiles(samples[0], samples[0], samples[0], 1)
    cuts = quantiles(samples, n=20, method="inclusive")
    return Percentiles(cuts[9], cuts[17], cuts[18], len(samples))


@dataclass
class Activity:
    """Reads of the present and of the last day, over one store. They are shared by all callers.

    `costs` returns the costs of a period, as `Operations.costs` does.
    """

    store: ActivityStore
    costs_of: Callable[[Caller, Instant, Instant], Awaitable[list[CostLine]]]
    clock: Clock
    _kept: dict[Hashable, _Kept] = field(default_factory=dict)

    async def running(self, caller: Caller) -> InWork:
        """Return what runs and what waits."""
        project = self._project(caller)

        async def read() -> InWork:
            jobs, oldest, due, arrival = await asyncio.gather(
                self.store.unfinished_counts(COUNTED_MAX + 1, project),
                self.store.oldest_unfinished(project),
                self.store.deliveries_due(COUNTED_MAX + 1, project),
                self.store.last_arrival(project),
            )
            return InWork(jobs, oldest, due, arrival)

        return await self._shared(("running", project), read, FRESH_MILLISECONDS)

    async def last_day(self, caller: Caller) -> LastDay:
        """Return what happened in the last 24 hours, the present one included."""
        project = self._project(caller)
        now = self.clock.now()
        since = now - now % _HOUR - (HOURS - 1) * _HOUR

        async def read() -> LastDay:
            jobs, attempts, lags = await asyncio.gather(
                self.store.job_tallies(since, LOOKED_AT_MAX, project),
                self.store.attempt_tallies(since, LOOKED_AT_MAX, project),
                self.store.webhook_lags(SAMPLES_MAX, project),
            )
            return LastDay(jobs, attempts, lags)

        return await self._shared(("day", project, since), read, KEPT_MILLISECONDS)

    async def render_times(self, caller: Caller) -> list[RenderTime]:
        """Return how long the newest completed jobs took at their providers."""
        project = self._project(caller)

        async def read() -> list[RenderTime]:
            return await self.store.latest_render_times(SAMPLES_MAX, project)

        return await self._shared(("renders", project), read, KEPT_MILLISECONDS)

    async def latest_events(self, caller: Caller, limit: int = 20) -> list[LatestEvent]:
        """Return the latest events of all jobs, newest first."""
        project = self._project(caller)

        async def read() -> list[LatestEvent]:
            return await self.store.latest_events(limit, project)

        return await self._shared(("events", project, limit), read, 0)

    async def costs(self, caller: Caller, days: int) -> list[CostLine]:
        """Return the costs of the last days, today (UTC) included."""
        project, now = self._project(caller), self.clock.now()
        since = now - now % DAY_MILLISECONDS - (days - 1) * DAY_MILLISECONDS

        async def read() -> list[CostLine]:
            return await self.costs_of(caller, since, now + DAY_MILLISECONDS)

        return await self._shared(("costs", project, since), read, COSTS_KEPT_MILLISECONDS)

    def _project(self, caller: Caller) -> str | None:
        caller.require(Scope.READ)
        return caller.sees

    async def _shared(
        self, key: Hashable, read: Callable[[], Awaitable[T]], kept_milliseconds: int
    ) -> T:
        """Return what was read lately, or read it. A failed read is not kept."""
        now = self.clock.now()
        kept = self._kept.get(key)
        if kept is None or not 0 <= now - kept.read_at < kept_milliseconds or _failed(kept.task):
            before, kept = kept, _Kept(now, asyncio.ensure_future(_run(read)))
            kept.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            # A read of many rows need not be waited for while there is one that is not old.
            oldest = now - kept_milliseconds * STALE_FACTOR
            if kept_milliseconds >= KEPT_MILLISECONDS and _is_usable(before, oldest):
                kept.meanwhile = before
            self._kept[key] = kept
            while len(self._kept) > _CACHED_MAX:
                del self._kept[next(iter(self._kept))]
        if kept.meanwhile is not None and not kept.task.done():
            kept = kept.meanwhile
        else:
            kept.meanwhile = None
        result: T = await asyncio.shield(kept.task)
        return result


def _is_usable(kept: _Kept | None, oldest: Instant) -> bool:
    return (
        kept is not None and kept.task.done() and not _failed(kept.task) and kept.read_at >= oldest
    )


async def _run(read: Callable[[], Awaitable[T]]) -> T:
    return await read()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
