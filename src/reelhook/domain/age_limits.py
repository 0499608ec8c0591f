"""The limits on a job's wait for a provider and on the time that its provider takes."""

from dataclasses import dataclass

from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.domain.waiting import with_last_response


@dataclass(frozen=True, slots=True)
class Age:
    """The greatest age of a job, in hours.

    It applies twice: from the request to its acceptance by a provider, and from there to the end.
    So a job that has waited long still has the whole time for its render.
    """

    hours: float

    @property
    def milliseconds(self) -> int:
        """The age in milliseconds."""
        return round(self.hours * 3600 * 1000)

    def may_begin(self, job: Job, now: Instant) -> bool:
        """Return True if a job that no provider has may still be created, and paid for."""
        return now < job.created_at + self.milliseconds

    def deadline(self, job: Job) -> Instant:
        """Return the time by which a provider must finish the job."""
        accepted_at = job.created_at if job.accepted_at is None else job.accepted_at
        return max(job.created_at, accepted_at) + self.milliseconds

    def unaccepted(self, job: Job, now: Instant) -> tuple[Job, tuple[Event, ...]]:
        """End a job that no provider accepted in time."""
        message = f"No provider accepted the job within {self.hours:g} hours"
        return job.fail("expired", with_last_response(message, job.last_response), now)

    def unfinished(self, job: Job, now: Instant) -> tuple[Job, tuple[Event, ...]]:
        """End a job that its provider did not finish in time."""
        message = f"The job was not finished within {self.hours:g} hours of its acceptance"
        return job.fail("expired", with_last_response(message, job.last_response), now)
