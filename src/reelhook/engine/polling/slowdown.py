"""Slowing: without a listing jobs are asked for one by one, and ever less often."""

from collections.abc import Collection, Mapping

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import Report, Unread

PAUSE_MILLISECONDS_MAX = 60_000
MILLISECONDS_FOR_EACH = 1000
"""How many milliseconds each job adds to the longest pause: so many jobs bring a read a second."""


class Slowdown:
    """The pauses of single jobs: twice as long after every read that shows nothing new.

    They begin with the interval of rounds, and grow to a second for each job, a minute at most: so
    a few jobs are read as ever, and many that wait don't flood their server.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._pauses: dict[str, int] = {}

    def until(
        self,
        reports: Mapping[str, Report | Unread],
        jobs: Mapping[str, Job],
        now: Instant,
        *,
        watched: int,
    ) -> dict[str, Instant]:
        """Return before when each job that was read shall not be read again.

        `jobs` are these jobs as they were before, by the provider's ids; `watched` is how many are
        read singly in all.
        """
        longest = min(MILLISECONDS_FOR_EACH * watched, PAUSE_MILLISECONDS_MAX)
        for one, report in reports.items():
            same = not isinstance(report, Unread) and jobs[one].is_as(report)
            longer = 2 * self._pauses.get(one, 0) if same else 0
            self._pauses[one] = max(min(longer, longest), self._interval)
        # Half an interval less: the round that is meant begins sooner than its reads.
        return {one: now + self._pauses[one] - self._interval // 2 for one in reports}

    def trim(self, watched: Collection[str]) -> None:
        """Forget the others."""
        if len(self._pauses) > 2 * len(watched):
            self._pauses = {one: wait for one, wait in self._pauses.items() if one in watched}
