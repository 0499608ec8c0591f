"""Late checks: jobs that have ended without a word of their provider, and may still succeed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reelhook.domain.budget import SumKey, month_of
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.money import Money
from reelhook.domain.reservation import SumChange

CHECKS = 3
CHECK_MILLISECONDS = DAY_MILLISECONDS
"""An ended job is looked at so many times, at this interval."""
UNREAD_MILLISECONDS = 3600 * 1000
"""The wait after a check that learnt nothing, because the provider could not be asked."""
GIVE_UP_MILLISECONDS = 7 * DAY_MILLISECONDS
"""The time after which a job is looked at no more, however few checks learnt something."""


def may_succeed(job: Job) -> bool:
    """Return True if the video of a failed job may still turn up at its provider.

    The job ended by its age, or because the provider did not know it (404) for ten minutes.
    """
    ended_here = job.code == "expired" or job.missing_since is not None
    return job.status is Status.FAILED and job.provider_job_id is not None and ended_here


@dataclass(frozen=True, slots=True)
class LateCheck:
    """A job to look at once more. `checks` counts those that learnt something."""

    job: Job
    checks: int

    def next_at(self, now: Instant) -> Instant | None:
        """Return the time of the next check after one that learnt something; None: the last."""
        return None if self.checks + 1 >= CHECKS else now + CHECK_MILLISECONDS

    def retry_at(self, now: Instant) -> Instant | None:
        """Return the time of the next check after one that learnt nothing; None: give up."""
        ended_at = self.job.updated_at
        return None if now - ended_at >= GIVE_UP_MILLISECONDS else now + UNREAD_MILLISECONDS


class Spent(NamedTuple):
    """The amount that a job's end has added to an owner's sums, on the day of its acceptance."""

    owner: str
    day: str
    money: Money | None

    def corrected(self, money: Money | None) -> Iterator[SumChange]:
        """Yield the changes of sums after which this is spent in place of the earlier amount."""
        for period in (self.day, month_of(self.day)):
            for each, sign in ((self.money, -1), (money, 1)):
                if each is not None:
                    key = SumKey(self.owner, period, each.unit)
                    yield SumChange(key, spent=sign * each.amount)
