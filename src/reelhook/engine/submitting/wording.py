"""What providers say of jobs that can't be understood: kept and logged once a minute at most."""

from collections.abc import Collection
from dataclasses import replace

import structlog

from reelhook.domain.account_status import WORDS_MILLISECONDS
from reelhook.domain.event import Instant
from reelhook.domain.job import Job

log = structlog.get_logger()
LOGGED_MAX = 100
"""How many different words are remembered as logged."""


class ErrorTexts:
    """Limits how often a job's last words are written: some change with every response."""

    def __init__(self) -> None:
        self._worded_at: dict[str, Instant] = {}
        self._logged_at: dict[str, Instant] = {}

    def limited(self, before: Job, after: Job, now: Instant) -> Job:
        """Return the job as it is after a response, with the words before it where these come too
        soon after others.
        """
        words = after.last_response
        if words is None or words == before.last_response:
            return after
        if _young(self._worded_at.get(before.id), now):
            if after.missing_since == before.missing_since:
                return before
            said, since = before.last_response, before.waiting_since
            return replace(after, last_response=said, waiting_since=since)
        self._worded_at[before.id] = now
        self._log(after, words, now)
        return after

    def trim(self, jobs: Collection[Job]) -> None:
        """Forget all jobs but these."""
        if self._worded_at:
            for one in self._worded_at.keys() - {job.id for job in jobs}:
                del self._worded_at[one]

    def _log(self, job: Job, words: str, now: Instant) -> None:
        if _young(self._logged_at.get(words), now):
            return  # of another job, which many more may follow
        if len(self._logged_at) >= LOGGED_MAX:
            self._logged_at = {k: v for k, v in self._logged_at.items() if _young(v, now)}
        if len(self._logged_at) < LOGGED_MAX:
            self._logged_at[words] = now
            log.warning(
                "watch.not_understood",
                job=job.id,
                provider_job=job.provider_job_id,
                response=words,
            )


def _young(moment: Instant | None, now: Instant) -> bool:
    return moment is not None and 0 <= now - moment < WORDS_MILLISECONDS
