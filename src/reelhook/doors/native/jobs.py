"""Jobs: list, read, register, check now, cancel, adopt, abandon."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Response

from reelhook.domain.caller import Scope
from reelhook.domain.causes.cause import CauseName
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.waiting import Waiting
from reelhook.doors.causes import CauseResponse, maybe_cause
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.fields import Text
from reelhook.doors.native.job_filters import JobFilterOf
from reelhook.doors.native.schemas import (
    AdoptBody,
    CancelBody,
    EventsResponse,
    JobResponse,
    JobsResponse,
    RegisterBody,
    job_response,
)
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import ALL_JOBS, Created, ListedJob, StoredJob, read_back

router = APIRouter(prefix="/api/jobs", tags=["jobs"], route_class=KeyRoute)


async def _responses(
    context: Context,
    jobs: Sequence[ListedJob],
    reasons: Mapping[str, Waiting],
    queue_position: int | None = None,
    cause: CauseResponse | None = None,
) -> list[JobResponse]:
    """Return jobs as clients read them, with links to their files."""
    posters = await context.gateway.content.with_poster(context.caller, [one.job for one in jobs])
    options = context.options
    return [
        job_response(
            listed,
            options.video_url(listed.job.id),
            options.poster_url(listed.job.id) if listed.job.id in posters else None,
            queue_position,
            reasons.get(listed.job.id),
            cause,
        )
        for listed in jobs
    ]


async def _response(context: Context, stored: StoredJob) -> JobResponse:
    job = stored.job
    reasons = {} if job.waiting is None else {job.id: job.waiting}
    [response] = await _responses(context, [stored.listed], reasons)
    return response


async def _created(context: Context, created: Created) -> JobResponse:
    reading = context.gateway.jobs.job(context.caller, created.job_id)
    return await _response(context, await read_back(reading, jobId=created.job_id))


@router.get("", summary="List jobs, newest first")
@needs(Scope.READ)
async def list_jobs(
    context: ContextOf,
    wanted: JobFilterOf,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Text | None = None,
    in_doubt: Annotated[
        bool, Query(alias="inDoubt", description="Only those that a provider may or may not have")
    ] = False,
    cause: Annotated[
        CauseName | None, Query(description="Only those that this cause of waitingFor holds up")
    ] = None,
) -> JobsResponse:
    """Return a page of jobs; `nextCursor` leads to the next one. `metadata.NAME=VALUE` lists the
    jobs with this metadata. Jobs in doubt come oldest first, whatever their status. A page of a
    `cause` may be short, or empty, and have a `nextCursor`.
    """
    gateway, caller = context.gateway, context.caller
    if in_doubt:
        if replace(wanted, status=None) != ALL_JOBS or cause is not None:
            raise InvalidRequestError(
                "inDoubt", "inDoubt can't be combined with filters; leave them out"
            )
        page = await gateway.in_doubt.jobs(caller, limit, cursor)
    elif cause is not None:
        page = (await gateway.attention.jobs(caller, cause, wanted, limit, cursor)).page
    else:
        page = await gateway.jobs.jobs(caller, wanted, limit, cursor)
    reasons = await gateway.waiting.all_of(caller, [listed.job for listed in page.jobs])
    jobs = await _responses(context, page.jobs, reasons)
    return JobsResponse(jobs=jobs, next_cursor=page.next_cursor)


@router.post("/register", summary="Watch a job that was created elsewhere")
@needs(Scope.OPERATE)
async def register(context: ContextOf, body: RegisterBody) -> JobResponse:
    """Watch a provider's job that another program created. Registering it twice changes nothing."""
    context = await context.within(body.project)
    if body.webhook_url is not None:
        await context.options.check_url(body.webhook_url)
    created = await context.gateway.new_jobs.register(
        context.caller,
        body.sora_job_id,
        body.job_id,
        body.webhook_url,
        body.endpoints,
        body.account,
        labels=body.labels,
    )
    return await _created(context, created)


@router.get("/{job_id}", summary="Read a job")
@needs(Scope.READ)
async def read(job_id: str, context: ContextOf) -> JobResponse:
    """Return a job's present state; `waitingFor` is the cause that holds it up, if there is one."""
    gateway, caller = context.gateway, context.caller
    stored = await gateway.jobs.job(caller, job_id)
    position = await gateway.jobs.queue_position(caller, stored.job)
    waiting = await gateway.waiting.of(caller, stored.job)
    cause = await gateway.attention.of_job(caller, stored.job, webhooks_held=stored.webhooks_held)
    reasons = {} if waiting is None else {job_id: waiting}
    [response] = await _responses(
        context, [stored.listed], reasons, position, maybe_cause(cause, caller)
    )
    return response


@router.get("/{job_id}/events", summary="Read a job's whole history")
@needs(Scope.READ)
async def events(job_id: str, context: ContextOf) -> EventsResponse:
    """Return every event of the job, in order, including those that were never sent."""
    await context.gateway.jobs.job(context.caller, job_id)
    stored = await context.gateway.feed.events(context.caller, [job_id])
    return EventsResponse(
        events=[{"id": event.event_id, **json.loads(event.body)} for event in stored]
    )


@router.post("/{job_id}/poll", summary="Check a job at its provider now")
@needs(Scope.OPERATE)
async def poll(job_id: str, context: ContextOf) -> JobResponse:
    """Read the job at its provider at once, and send webhooks if it changed."""
    return await _response(context, await context.gateway.jobs.check_now(context.caller, job_id))


@router.post("/{job_id}/cancel", summary="Cancel a job")
@needs(Scope.SUBMIT)
async def cancel(job_id: str, context: ContextOf, body: CancelBody | None = None) -> JobResponse:
    """Cancel the job at its provider. If that is impossible, 409 says that the render is paid for;
    `force` then stops watching it.
    """
    force = body is not None and body.force
    stored = await context.gateway.jobs.cancel(context.caller, job_id, force=force)
    return await _response(context, stored)


@router.delete("/{job_id}", status_code=204, summary="Delete a job")
@needs(Scope.SUBMIT)
async def delete(job_id: str, context: ContextOf) -> Response:
    """Remove the job's request, files, links, events and waiting webhooks. An unfinished job is
    canceled first; if its provider can't cancel, 409 says so. The costs still count.
    """
    await context.gateway.client_calls.used(context.caller, job_id)
    await context.gateway.jobs.delete(context.caller, job_id)
    return Response(status_code=204)


@router.post("/{job_id}/adopt", summary="Watch the provider's job of a job in doubt")
@needs(Scope.OPERATE)
async def adopt(job_id: str, context: ContextOf, body: AdoptBody) -> JobResponse:
    """Watch the provider's job as a new job here, with the same request and endpoints. Its
    `adoptedFrom` names the job in doubt, which is settled now.
    """
    created = await context.gateway.in_doubt.adopt(context.caller, job_id, body.sora_job_id)
    return await _created(context, created)


@router.post("/{job_id}/abandon", summary="Settle that the provider does not have a job in doubt")
@needs(Scope.OPERATE)
async def abandon(job_id: str, context: ContextOf) -> JobResponse:
    """Remove the job from the list of those in doubt. Otherwise it stays as it is."""
    return await _response(context, await context.gateway.in_doubt.abandon(context.caller, job_id))
