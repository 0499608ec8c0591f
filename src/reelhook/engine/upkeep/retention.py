"""Retention: removes old records, a few at a time, so that nothing waits for it."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, Position, Removal, RetentionStore

log = structlog.get_logger()
RUN_SECONDS = 3600.0
PAUSE_SECONDS = 0.02
"""The least pause between two batches."""
PAUSE_SHARE = 4.0
"""The pause as a multiple of the last batch's duration: a busy database gets longer pauses."""
RETRY_SECONDS = 5.0
LOGGED_EVERY = 10_000
FILES_MILLISECONDS = 3600 * 1000
"""The least age at which an unused file is removed."""
WAITING_DAYS = 30.0
"""The additional days for which a job is kept, at most, while its webhooks wait."""

Remove = Callable[[Position], Awaitable[Removal]]


@dataclass(frozen=True, slots=True)
class Keep:
    """The days for which finished jobs and attempts are kept; infinity: forever."""

    jobs_days: float
    attempts_days: float


class Retention:
    """Removes expired records, once an hour."""

    name = "retention"

    def __init__(
        self, store: RetentionStore, keep: Keep, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._keep = keep
        self._clock = clock
        self._next_run_at: Instant = 0
        self._steps: list[tuple[str, Remove]] = []
        self._position: Position = ()
        self._removed: dict[str, int] = {}
        self.signal = signals.retention
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Remove one batch; see `Loop`."""
        began_at = self._clock.now()
        if not self._steps:
            if began_at < self._next_run_at:
                return (self._next_run_at - began_at) / 1000
            self._begin(began_at)
        try:
            await self._advance()
        except DATABASE_FAILURES as error:
            log.warning("retention.deferred", error=error.message)
            return RETRY_SECONDS
        took = (self._clock.now() - began_at) / 1000
        return max(PAUSE_SECONDS, PAUSE_SHARE * took) if self._steps else RUN_SECONDS

    def _begin(self, now: Instant) -> None:
        store = self._store
        self._next_run_at = now + round(RUN_SECONDS * 1000)
        self._position, self._removed = (), {}
        before = _before(now, self._keep.attempts_days)
        if before is not None:
            self._steps.append(("attempts", lambda at: store.remove_attempts(at, before)))
        ended = _before(now, self._keep.jobs_days)
        if ended is not None:
            waiting = ended - round(WAITING_DAYS * DAY_MILLISECONDS)
            self._steps += [
                ("jobs", lambda at: store.remove_jobs(at, ended, waiting)),
                ("resends", lambda _: store.remove_resends(ended)),
                ("endpoints", lambda at: store.remove_endpoints(at, ended)),
            ]

        # A job that is being stored refers to files that it has just stored.
        self._steps.append(("files", lambda at: store.remove_files(at, now - FILES_MILLISECONDS)))

    async def _advance(self) -> None:
        if not self._steps:
            return
        name, remove = self._steps[0]
        removal = await remove(self._position)
        before = self._removed.get(name, 0)
        self._removed[name] = now = before + removal.removed
        if now // LOGGED_EVERY > before // LOGGED_EVERY:
            log.info("retention.removing", **{name: now})
        self._position = removal.position or ()
        if removal.position is None:
            del self._steps[0]
            if not self._steps and any(self._removed.values()):
                log.info("retention.removed", **self._removed)


def _before(now: Instant, days: float) -> Instant | None:
    return None if math.isinf(days) else now - round(days * DAY_MILLISECONDS)
