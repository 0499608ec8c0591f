"""Actions on all jobs that match a filter. The number that was shown is typed to confirm it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.causes.cause import CauseName
from reelhook.domain.errors import InvalidRequestError, ReelhookError
from reelhook.domain.job import Job, Status
from reelhook.doors.web.error_messages import page_message
from reelhook.doors.web.filters import ParsedFilter
from reelhook.doors.web.view import View
from reelhook.gateway import DeliveryFilter, Gateway, JobFilter, ListedJob

MATCHED_MAX = 500
"""The most jobs of one form: they are done while its sender waits."""
AT_ONCE = 20
READS_MAX = 3
EXAMPLES = 5
DELIVERIES_MAX = 50
_UNFINISHED = (Status.ACCEPTED, Status.SUBMITTING, Status.QUEUED, Status.PROCESSING)
_WATCHED = (Status.QUEUED, Status.PROCESSING)


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action on many jobs: its words, its scope, and the jobs that it is for.

    `statuses` None: those with webhooks that failed at every attempt.
    """

    link: str
    verb: str
    done: str
    scope: Scope
    statuses: tuple[Status, ...] | None


ACTIONS: Mapping[str, BulkAction] = {
    "check": BulkAction("Check now", "Check", "checked", Scope.OPERATE, _WATCHED),
    "cancel": BulkAction("Cancel", "Cancel", "canceled", Scope.SUBMIT, _UNFINISHED),
    "resend": BulkAction(
        "Send failed webhooks again",
        "Send the failed webhooks again of",
        "sent again",
        Scope.OPERATE,
        None,
    ),
}


@dataclass(frozen=True, slots=True)
class MatchedJobs:
    """The jobs that match now. `more`: there are others, which a second form gets."""

    action: str
    jobs: tuple[Job, ...]
    titles: tuple[str, ...]
    more: bool

    @property
    def words(self) -> BulkAction:
        """The words of the action."""
        return ACTIONS[self.action]


async def matched(view: View, who: Caller, parsed: ParsedFilter, action: str) -> MatchedJobs:
    """Return the jobs of a filter that an action is for, newest first, up to `MATCHED_MAX`."""
    if parsed.in_doubt:
        raise InvalidRequestError("q", "Jobs in doubt are settled one by one")
    bulk, wanted = ACTIONS[action], parsed.wanted
    cause = parsed.cause
    if bulk.statuses is None:
        if cause not in {None, CauseName.EXHAUSTED}:
            raise InvalidRequestError("q", "Webhooks are sent again for cause:exhausted only")
        cause = CauseName.EXHAUSTED
    if cause is not None:
        listed, more = await _held(view, who, cause, wanted)
    else:
        chosen = [one for one in bulk.statuses or () if wanted.status in {None, one}]
        listed, more = [], False
        for status in chosen:
            page = await view.gateway.jobs.jobs(who, replace(wanted, status=status), MATCHED_MAX)
            listed += page.jobs
            more = more or page.next_cursor is not None
    if bulk.statuses is not None:
        listed = [one for one in listed if one.job.status in bulk.statuses]
    listed.sort(key=lambda one: one.job.created_at, reverse=True)
    titles = tuple(one.title or one.job.id for one in listed[:EXAMPLES])
    jobs = tuple(one.job for one in listed[:MATCHED_MAX])
    return MatchedJobs(action, jobs, titles, more or len(listed) > MATCHED_MAX)


async def _held(
    view: View, who: Caller, cause: CauseName, wanted: JobFilter
) -> tuple[list[ListedJob], bool]:
    listed: list[ListedJob] = []
    cursor = None
    for _ in range(READS_MAX):
        held = await view.gateway.attention.jobs(who, cause, wanted, MATCHED_MAX, cursor)
        listed += held.page.jobs
        cursor = held.page.next_cursor
        if cursor is None or len(listed) >= MATCHED_MAX:
            break
    return listed, cursor is not None


async def carried_out(view: View, who: Caller, found: MatchedJobs) -> str:
    """Act on each of the jobs; return a sentence about all. Those that have ended stay so."""
    failed: list[ReelhookError] = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(job: Job) -> None:
        async with turns:
            try:
                await act_on(view.gateway, who, found.action, job.id)
            except ReelhookError as error:
                failed.append(error)

    await asyncio.gather(*map(one, found.jobs))
    count, bulk = len(found.jobs), found.words
    text = f"{count - len(failed)} of {count} jobs: {bulk.done}."
    if failed:
        text += f" The others: {page_message(failed[0]).rstrip('.')}."
    if found.more:
        text += " More match: do it again for the next ones."
    return text


async def act_on(gateway: Gateway, who: Caller, action: str, job_id: str) -> None:
    """Act on one job. Raises what the action raises."""
    if action == "cancel":
        await gateway.jobs.cancel(who, job_id)
    elif action == "check":
        await gateway.jobs.check_now(who, job_id)
    else:
        failed = DeliveryFilter(state="failed", job_id=job_id)
        for stored in (await gateway.deliveries.page(who, failed, DELIVERIES_MAX)).deliveries:
            await gateway.deliveries.resend(who, stored.delivery.id)
