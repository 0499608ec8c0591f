"""Jobs: list, read, register, check now, cancel."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request

from reelhook.domain.job import Status
from reelhook.doors.context import ServiceOf, options_of, use_cases_of
from reelhook.doors.native.schemas import (
    AdoptBody,
    CancelBody,
    EventsResponse,
    JobResponse,
    JobsResponse,
    RegisterBody,
    job_answer,
)
from reelhook.ports import StoredJob
from reelhook.service.reading_back import read_back

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


def _answer(request: Request, stored: StoredJob) -> JobResponse:
    return job_answer(
        stored.listed, options_of(request).video_url(stored.job.id), waiting=stored.job.waiting
    )


@router.get("", summary="List jobs, newest first")
async def list_jobs(
    request: Request,
    service: ServiceOf,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
    in_doubt: Annotated[
        bool, Query(alias="inDoubt", description="Only those that a provider may have or not")
    ] = False,
) -> JobsResponse:
    """Return a page of jobs; `nextCursor` leads to the next one. Jobs in doubt come oldest first,
    whatever their status.
    """
    if in_doubt:
        page = await use_cases_of(request).in_doubt.jobs(limit, cursor)
    else:
        page = await service.jobs(status, limit, cursor)
    video_url = options_of(request).video_url
    waits = await use_cases_of(request).waits.all_of([listed.job for listed in page.jobs])
    jobs = [
        job_answer(one, video_url(one.job.id), waiting=waits.get(one.job.id)) for one in page.jobs
    ]
    return JobsResponse(jobs=jobs, next_cursor=page.next_cursor)


@router.post("/register", summary="Watch a job that was created elsewhere")
async def register(request: Request, service: ServiceOf, body: RegisterBody) -> JobResponse:
    """Watch a provider's job that someone else created. Registering twice is once."""
    if body.webhook_url is not None:
        await options_of(request).check_url(body.webhook_url)
    created = await service.register(
        body.sora_job_id, body.job_id, body.webhook_url, body.endpoints, body.account
    )
    stored = await read_back(service.job(created.job_id), job_id=created.job_id)
    return _answer(request, stored)


@router.get("/{job_id}", summary="Read a job")
async def read(job_id: str, request: Request, service: ServiceOf) -> JobResponse:
    """Return a job as it stands."""
    stored = await service.job(job_id)
    position = await service.queue_position(stored.job)
    waiting = await use_cases_of(request).waits.of(stored.job)
    return job_answer(stored.listed, options_of(request).video_url(job_id), position, waiting)


@router.get("/{job_id}/events", summary="Read a job's whole history")
async def events(job_id: str, service: ServiceOf) -> EventsResponse:
    """Return every event of the job, in order, those too that were never sent."""
    await service.job(job_id)
    stored = await service.events([job_id])
    return EventsResponse(events=[{"id": e.event_id, **json.loads(e.body)} for e in stored])


@router.post("/{job_id}/poll", summary="Check a job at its provider now")
async def poll(job_id: str, request: Request, service: ServiceOf) -> JobResponse:
    """Read the job at its provider at once, and tell the change, if there is one."""
    return _answer(request, await service.check_now(job_id))


@router.post("/{job_id}/cancel", summary="Cancel a job")
async def cancel(
    job_id: str, request: Request, service: ServiceOf, body: CancelBody | None = None
) -> JobResponse:
    """Cancel the job at its provider. Where that can't be, 409 says that the render is paid for;
    `force` then stops watching it.
    """
    force = body is not None and body.force
    return _answer(request, await service.cancel(job_id, force=force))


@router.post("/{job_id}/adopt", summary="Watch what a job in doubt turned out to be")
async def adopt(job_id: str, request: Request, service: ServiceOf, body: AdoptBody) -> JobResponse:
    """Watch the provider's job as a new one of ours, with the same request and endpoints;
    `adoptedFrom` names the one in doubt, which is settled by it.
    """
    created = await use_cases_of(request).in_doubt.adopt(job_id, body.sora_job_id)
    stored = await read_back(service.job(created.job_id), job_id=created.job_id)
    return _answer(request, stored)


@router.post("/{job_id}/abandon", summary="Settle that a job in doubt is not to be found")
async def abandon(job_id: str, request: Request) -> JobResponse:
    """Take the job off the list of those in doubt. It stays as it is."""
    return _answer(request, await use_cases_of(request).in_doubt.abandon(job_id))
