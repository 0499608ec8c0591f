"""The jobs that one cause holds up, newest first, at a cost that does not grow with the tables.

Causes are not stored. Jobs that may have one are read by an index, and are judged one by one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reelhook.domain.causes.cause import Cause, CauseName, Thing
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.ports import JobFilter, JobPage, JobStore, ListedJob

BATCH = 100
JUDGED_MAX = 1000
"""The most jobs that a page judges; the next one goes on there."""
_UNFINISHED = (Status.ACCEPTED, Status.SUBMITTING, Status.QUEUED, Status.PROCESSING)
CausesOf = Callable[[Sequence[Job]], Awaitable[Mapping[str, tuple[Cause, ...]]]]


@dataclass(frozen=True, slots=True)
class HeldJobs:
    """A page of the jobs that a cause holds up, with that cause of each."""

    page: JobPage
    causes: Mapping[str, Cause]


async def held_jobs(
    store: JobStore,
    causes_of: CausesOf,
    name: CauseName,
    wanted: JobFilter,
    limit: int,
    cursor: str | None,
) -> HeldJobs:
    """Return a page of the jobs of a filter that a cause of this name holds up."""
    if name.things is None:
        raise InvalidRequestError("cause", f"{name} holds up no job: new ones are refused")
    found: list[ListedJob] = []
    causes: dict[str, Cause] = {}
    judged = 0
    while True:
        batch = await _candidates(store, name, wanted, cursor)
        of_jobs = await causes_of([listed.job for listed in batch.jobs])
        for place, listed in enumerate(batch.jobs):
            job_id = listed.job.id
            cause = next((one for one in of_jobs.get(job_id, ()) if one.name is name), None)
            if cause is None:
                continue
            found.append(listed)
            causes[job_id] = cause
            if len(found) == limit:
                more = place + 1 < len(batch.jobs) or batch.next_cursor is not None
                return HeldJobs(JobPage(tuple(found), job_id if more else None), causes)
        judged += len(batch.jobs)
        cursor = batch.next_cursor
        if cursor is None or judged >= JUDGED_MAX or not batch.jobs:
            return HeldJobs(JobPage(tuple(found), cursor), causes)


async def _candidates(
    store: JobStore, name: CauseName, wanted: JobFilter, cursor: str | None
) -> JobPage:
    """Return the next jobs that may have the cause."""
    if name is CauseName.IN_DOUBT:
        if wanted.status not in {None, Status.FAILED} or wanted.code not in {
            None,
            SUBMISSION_UNKNOWN,
        }:
            return JobPage((), None)
        ended = replace(wanted, status=Status.FAILED, code=SUBMISSION_UNKNOWN)
        return await store.jobs(ended, BATCH, cursor)
    if name.things is not Thing.JOBS:
        return await store.jobs(replace(wanted, waits=name.things), BATCH, cursor)
    if wanted.endpoint_id is not None or wanted.text is not None or wanted.account is not None:
        # No index has these, so the jobs are looked at in their order.
        return await store.jobs(replace(wanted, waits=Thing.JOBS), BATCH, cursor)
    statuses = [one for one in _UNFINISHED if wanted.status in {None, one}]
    pages = await asyncio.gather(
        *(store.jobs(replace(wanted, status=status), BATCH, cursor) for status in statuses)
    )
    return _merged(pages)


def _merged(pages: Sequence[JobPage]) -> JobPage:
    """Return the newest jobs of several pages, as far as none can lie between them."""
    jobs = sorted((one for page in pages for one in page.jobs), key=_age, reverse=True)
    ends = [_age(page.jobs[-1]) for page in pages if page.next_cursor is not None and page.jobs]
    if not ends:
        return JobPage(tuple(jobs), None)
    kept = [one for one in jobs if _age(one) >= max(ends)]
    return JobPage(tuple(kept), kept[-1].job.id)


def _age(listed: ListedJob) -> tuple[int, str]:
    return listed.job.created_at, listed.job.id
