"""Slows down reads of single jobs: without a usable listing, each job takes a request."""

from collections.abc import Collection, Mapping

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.report import Report, Unread

PAUSE_MILLISECONDS_MAX = 60_000
MILLISECONDS_FOR_EACH = 1000
"""The milliseconds that each job adds to the longest pause. So all jobs together take one read a
second."""


class Slowdown:
    """The pauses between reads of single jobs. A read that shows nothing new doubles the pause.

    Pauses begin with the interval of rounds and grow to one second per job, at most a minute.
    So a few jobs are read as often as before, and many jobs don't flood their server.
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
        """Return, for each job that was read, the time from which it may be read again.

        `jobs` has these jobs as they were before, by the provider's ids. `watched` counts all jobs
        that are read singly.
        """
        longest = min(MILLISECONDS_FOR_EACH * watched, PAUSE_MILLISECONDS_MAX)
        for job_id, report in reports.items():
            same = not isinstance(report, Unread) and jobs[job_id].is_unchanged_by(report)
            longer = 2 * self._pauses.get(job_id, 0) if same else 0
            self._pauses[job_id] = max(min(longer, longest), self._interval)
        # Half an interval less, because a round begins earlier than its reads.
        return {job_id: now + self._pauses[job_id] - self._interval // 2 for job_id in reports}

    def trim(self, watched: Collection[str]) -> None:
        """Forget all jobs but these."""
        if len(self._pauses) > 2 * len(watched):
            self._pauses = {
                job_id: pause for job_id, pause in self._pauses.items() if job_id in watched
            }
