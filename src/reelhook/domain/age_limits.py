"""Age: how long a job may wait for a provider, and how long its provider may take."""

from dataclasses import dataclass

from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.domain.waiting import with_words


@dataclass(frozen=True, slots=True)
class Age:
    """The age that jobs may reach, in hours.

    It counts twice: from the request until a provider has accepted the job, and from there until
    the job is finished. So a job that had to wait long still gets the time that a render takes.
    """

    hours: float

    @property
    def milliseconds(self) -> int:
        """The same in milliseconds."""
        return round(self.hours * 3600 * 1000)

    def may_begin(self, job: Job, now: Instant) -> bool:
        """Whether a job that no provider has may still be created, and paid for."""
        return now < job.created_at + self.milliseconds

    def deadline(self, job: Job) -> Instant:
        """Return when a job that its provider has must be finished."""
        accepted_at = job.created_at if job.accepted_at is None else job.accepted_at
        return max(job.created_at, accepted_at) + self.milliseconds

    def unaccepted(self, job: Job, now: Instant) -> tuple[Job, tuple[Event, ...]]:
        """End a job that no provider accepted in time."""
        message = f"No provider accepted the job within {self.hours:g} hours"
        return job.fail("expired", with_words(message, job.last_response), now)

    def unfinished(self, job: Job, now: Instant) -> tuple[Job, tuple[Event, ...]]:
        """End a job that its provider did not finish in time."""
        message = f"The job was not finished within {self.hours:g} hours of its acceptance"
        return job.fail("expired", with_words(message, job.last_response), now)
