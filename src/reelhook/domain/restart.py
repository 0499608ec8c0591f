"""What shows that a server which keeps its jobs in memory was restarted, and has forgotten them.

One 404 shows nothing: proxies, replicas and young servers answer so too. So a restart is believed
only where everything agrees for `FORGOTTEN_MILLISECONDS`: each job that the server had is denied by
the server itself, read by read, and its listing, read to the end, shows nothing from before.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import CLOCK_SLACK_MILLISECONDS, Known
from reelhook.domain.report import Entry

FORGOTTEN_MILLISECONDS = 30_000
"""How long all must agree before a restart is believed."""
DENIALS_MIN = 3
"""How many 404 in a row each of the jobs must have got within that time."""
RESUBMITS_MAX = 2
"""How often a forgotten job is sent again: its render may be what ends the server."""
MESSAGE = (
    "The server was restarted and has forgotten this job, since it keeps its jobs in memory only. "
    "Send it again, or set resubmit_forgotten for the account to have that done"
)


@dataclass(frozen=True, slots=True)
class Denials:
    """The server's own 404 responses for one job in a row: how many, and since when."""

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
    """Return the jobs that a restart must have lost, as far as reads of single jobs can tell.

    `watched` are those that this server had, with this credential; `denials` go by the provider's
    ids. `was_shown`: whether the listing showed a job before. Within `margin`, in milliseconds,
    before the first 404 a job may have been created by the restarted server already. None are
    returned while the server still knows any that is older.
    """
    lost = [one for one in watched if one.provider_job_id in denials and was_shown(one)]
    gone_at = first_missed(lost, now)
    if any(
        one.provider_job_id not in denials and (one.accepted_at or 0) < gone_at - margin
        for one in watched
    ):
        return []
    return [one for one in lost if _is_steady(one, denials[one.provider_job_id or ""], now)]


def first_missed(jobs: Iterable[Job], now: Instant) -> Instant:
    """Return when the first of these jobs was missed; now, if none was."""
    return min((one.missing_since for one in jobs if one.missing_since is not None), default=now)


def _is_steady(job: Job, denials: Denials, now: Instant) -> bool:
    since = max(denials.since, job.missing_since or now)
    return now - since >= FORGOTTEN_MILLISECONDS and denials.count >= DENIALS_MIN


def is_from_before(
    entry: Entry, lost: Collection[str], known: Known | None, *, gone_at: Instant, margin: int
) -> bool:
    """Whether an entry of the listing shows that its server has not forgotten everything.

    `lost` are the ids of the jobs that seem forgotten, `known` is what we know of the entry, if it
    is of a job of ours. Others' entries are told by their times alone, by the server's clock.
    """
    if entry.provider_job_id in lost:
        return True
    if known is not None:
        return known.accepted_at is not None and known.accepted_at < gone_at - margin
    return entry.created_at is not None and entry.created_at < gone_at - CLOCK_SLACK_MILLISECONDS
