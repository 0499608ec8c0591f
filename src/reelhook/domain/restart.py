"""Evidence that a server which keeps jobs in memory was restarted and has forgotten them.

A single 404 proves nothing: proxies, replicas and young servers respond with it too. A restart is
believed only if all evidence agrees for `FORGOTTEN_MILLISECONDS`: the server itself responds with
404 to every read of each of its jobs, and its complete listing shows nothing older.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reelhook.domain.doubt import Known
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import CLOCK_SLACK_MILLISECONDS
from reelhook.domain.report import Entry

FORGOTTEN_MILLISECONDS = 30_000
"""The time for which all evidence must agree before a restart is believed."""
DENIALS_MIN = 3
"""The number of consecutive 404 responses for each job within that time."""
RESUBMITS_MAX = 2
"""The most resubmissions of a forgotten job: its render may be the cause of the crash."""
MESSAGE = (
    "The server was restarted and has forgotten this job, because it keeps jobs only in memory. "
    "Send it again, or set resubmit_forgotten for the account to have that done automatically"
)


@dataclass(frozen=True, slots=True)
class Denials:
    """The server's own consecutive 404 responses for one job: their number and the first time."""

    count: int
    since: Instant


def forgotten(
    watched: Collection[Job],
    denials: Mapping[str, Denials],
    *,
    was_shown: Callable[[Job], bool],
    margin: int,
    now: Instant,
) -> list[Job]:
    """Return the jobs that a restart must have lost, by the evidence of single reads.

    `watched` has the jobs of this server and credential. `denials` has the provider's ids as keys.
    `was_shown` returns True if the listing showed a job before. The restarted server may have
    created a job within `margin` milliseconds before the first 404. The result is empty while the
    server still knows an older job.
    """
    lost = [job for job in watched if job.provider_job_id in denials and was_shown(job)]
    gone_at = first_missed(lost, now)
    if any(
        job.provider_job_id not in denials and (job.accepted_at or 0) < gone_at - margin
        for job in watched
    ):
        return []
    return [job for job in lost if _is_steady(job, denials[job.provider_job_id or ""], now)]


def first_missed(jobs: Iterable[Job], now: Instant) -> Instant:
    """Return the time at which the first of these jobs was missing, or `now` if none is."""
    return min((job.missing_since for job in jobs if job.missing_since is not None), default=now)


def _is_steady(job: Job, denials: Denials, now: Instant) -> bool:
    since = max(denials.since, job.missing_since or now)
    return now - since >= FORGOTTEN_MILLISECONDS and denials.count >= DENIALS_MIN


def is_from_before(
    entry: Entry, lost: Collection[str], known: Known | None, *, gone_at: Instant, margin: int
) -> bool:
    """Return True if an entry shows that its server has not forgotten everything.

    `lost` has the ids of the jobs that seem forgotten. `known` is our knowledge of the entry, if it
    belongs to one of our jobs. Other entries are judged only by their times, on the server's clock.
    """
    if entry.provider_job_id in lost:
        return True
    if known is not None:
        return known.accepted_at is not None and known.accepted_at < gone_at - margin
    return entry.created_at is not None and entry.created_at < gone_at - CLOCK_SLACK_MILLISECONDS
