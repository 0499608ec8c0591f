"""Mending: a clock that was set back delays nothing for longer than it would have waited anyway."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.breaker import PROBE_MILLISECONDS_MAX
from reelhook.domain.event import Instant
from reelhook.domain.schedule import RETRY_AFTER_SECONDS_MAX, RetrySchedule
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.submit import WAIT_SECONDS_MAX
from reelhook.ports import Clock
from reelhook.ports.clock_repair import ClockRepairStore, LongestWaits

log = structlog.get_logger()
LOOK_SECONDS = 5.0
SET_BACK_MILLISECONDS = 1000
"""Less than that is the everyday correction of a clock."""
SLACK_MILLISECONDS = 2000
"""Moments are stored a little after they were chosen, and by other hosts' clocks."""


class ClockRepair:
    """Mends what is stored, at the start and when the clock is seen to go back."""

    name = "mending"

    def __init__(
        self, store: ClockRepairStore, schedule: RetrySchedule, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._signals = signals
        self._clock = clock
        self._seen_at: Instant | None = None
        self.signal = signals.mending
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Look at the clock; see `Loop`."""
        now, before = self._clock.now(), self._seen_at
        set_back = before is not None and now < before - SET_BACK_MILLISECONDS
        if set_back or before is None:
            await self._store.repair_due_times(now, longest_waits(self._schedule, sure=set_back))
            # Loops that looked before this may wait for moments that it has changed.
            self._signals.deliver.set()
            self._signals.submit.set()
        if set_back:
            log.warning("clock.set_back", seconds=round(((before or now) - now) / 1000))
        self._seen_at = now
        return LOOK_SECONDS


def longest_waits(schedule: RetrySchedule, *, sure: bool) -> LongestWaits:
    """Return the longest waits. `sure`: the clock was set back, so no `Retry-After` of a provider
    is believed, of which nobody knows how long it was: it says it again.
    """
    day = round(RETRY_AFTER_SECONDS_MAX * 1000) + SLACK_MILLISECONDS
    waits = tuple(
        round(seconds * 1000) + SLACK_MILLISECONDS for seconds in (0.0, *schedule.longest_seconds)
    )
    submit = round(WAIT_SECONDS_MAX * 1.2 * 1000) + SLACK_MILLISECONDS if sure else day
    return LongestWaits(waits, day, PROBE_MILLISECONDS_MAX + SLACK_MILLISECONDS, submit)
