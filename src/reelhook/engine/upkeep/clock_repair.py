"""Clock repair: after the clock was set back, nothing is delayed beyond its usual wait."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.archive import LONGEST_WAIT_MILLISECONDS, MISSING_MILLISECONDS
from reelhook.domain.breaker import PROBE_MILLISECONDS_MAX
from reelhook.domain.event import Instant
from reelhook.domain.late_check import CHECK_MILLISECONDS
from reelhook.domain.schedule import RETRY_AFTER_SECONDS_MAX, RetrySchedule
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.outcomes import SUBMIT_WAIT_SECONDS_MAX
from reelhook.ports import Clock
from reelhook.ports.clock_repair import ClockRepairStore, LongestWaits

log = structlog.get_logger()
LOOK_SECONDS = 5.0
SET_BACK_MILLISECONDS = 1000
"""Smaller steps are the usual corrections of a clock."""
SLACK_MILLISECONDS = 2000
"""Times are stored a little after they were chosen, and by the clocks of other hosts."""


class ClockRepair:
    """Repairs stored times, at the start and whenever the clock was set back."""

    name = "clock_repair"

    def __init__(
        self, store: ClockRepairStore, schedule: RetrySchedule, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._signals = signals
        self._clock = clock
        self._seen_at: Instant | None = None
        self.signal = signals.clock_repair
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Compare the clock with the last look; see `Loop`."""
        now, before = self._clock.now(), self._seen_at
        set_back = before is not None and now < before - SET_BACK_MILLISECONDS
        if set_back or before is None:
            await self._store.repair_due_times(now, longest_waits(self._schedule, certain=set_back))
            # Loops that read the store before may wait for times that have changed.
            self._signals.deliver.set()
            self._signals.notify.set()
            self._signals.submit.set()
            self._signals.archive.set()
        if set_back:
            log.warning("clock.set_back", seconds=round(((before or now) - now) / 1000))
        self._seen_at = now
        return LOOK_SECONDS


def longest_waits(schedule: RetrySchedule, *, certain: bool) -> LongestWaits:
    """Return the longest waits. `certain`: the clock was definitely set back.

    Then no `Retry-After` of a provider is believed, because its length is unknown. The provider
    sends it again.
    """
    day = round(RETRY_AFTER_SECONDS_MAX * 1000) + SLACK_MILLISECONDS
    waits = tuple(
        round(seconds * 1000) + SLACK_MILLISECONDS for seconds in (0.0, *schedule.longest_seconds)
    )
    submit = round(SUBMIT_WAIT_SECONDS_MAX * 1.2 * 1000) + SLACK_MILLISECONDS if certain else day
    return LongestWaits(
        waits,
        day,
        probe=PROBE_MILLISECONDS_MAX + SLACK_MILLISECONDS,
        submit=submit,
        file=max(LONGEST_WAIT_MILLISECONDS, MISSING_MILLISECONDS) + SLACK_MILLISECONDS,
        check=CHECK_MILLISECONDS + SLACK_MILLISECONDS,
    )
