"""Limits providers' messages about single jobs: a job stores a new one at most once a minute."""

from collections.abc import Collection
from dataclasses import replace

import structlog

from reelhook.domain.account_status import MESSAGE_INTERVAL_MILLISECONDS
from reelhook.domain.event import Instant
from reelhook.domain.job import Job

log = structlog.get_logger()
LOGGED_MAX = 100
"""The number of different messages that are remembered as logged."""


class MessageLimiter:
    """Limits how often a job's last message is written: some change with every response."""

    def __init__(self) -> None:
        self._changed_at: dict[str, Instant] = {}
        self._logged_at: dict[str, Instant] = {}

    def limited(self, before: Job, after: Job, now: Instant) -> Job:
        """Return the job after a response. A message that comes too soon is not taken over."""
        message = after.last_response
        if message is None or message == before.last_response:
            return after
        if _is_recent(self._changed_at.get(before.id), now):
            if after.missing_since == before.missing_since:
                return before
            since = before.waiting_since
            return replace(after, last_response=before.last_response, waiting_since=since)
        self._changed_at[before.id] = now
        self._log(after, message, now)
        return after

    def trim(self, jobs: Collection[Job]) -> None:
        """Forget all jobs but these."""
        if self._changed_at:
            for job_id in self._changed_at.keys() - {job.id for job in jobs}:
                del self._changed_at[job_id]

    def _log(self, job: Job, message: str, now: Instant) -> None:
        if _is_recent(self._logged_at.get(message), now):
            return  # it was logged for another job, and may come for many more
        if len(self._logged_at) >= LOGGED_MAX:
            self._logged_at = {k: v for k, v in self._logged_at.items() if _is_recent(v, now)}
        if len(self._logged_at) < LOGGED_MAX:
            self._logged_at[message] = now
            log.warning(
                "watch.not_understood",
                job=job.id,
                provider_job=job.provider_job_id,
                response=message,
            )


def _is_recent(at: Instant | None, now: Instant) -> bool:
    return at is not None and 0 <= now - at < MESSAGE_INTERVAL_MILLISECONDS
