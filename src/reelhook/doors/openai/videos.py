"""Videos: create, read, list."""

import json
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError, JobNotFoundError
from reelhook.doors.access import holder_of
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.labels import priority_named
from reelhook.doors.multipart import read_body
from reelhook.doors.openai.body import checked
from reelhook.doors.openai.ids import job_id_of
from reelhook.doors.openai.openapi import CREATE_BODY, ERRORS, VIDEO_RESPONSE
from reelhook.doors.openai.request import check_urls, naming_image, video_request
from reelhook.doors.openai.schemas import Video, VideoPage, listed_video, video_of
from reelhook.doors.policy import KeyRoute, carries_files, needs
from reelhook.gateway import IdempotencyKey, JobFilter, StoredJob, read_back

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)
POLL_MILLISECONDS_MAX = 15_000
"""The SDKs' `poll` reads the header once and keeps it, so a longer wait would delay every video."""


@router.post(
    "",
    response_model=Video,
    responses=VIDEO_RESPONSE,
    openapi_extra=CREATE_BODY,
    summary="Request a video",
)
@needs(Scope.SUBMIT)
@carries_files
async def create(
    context: ContextOf,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JSONResponse:
    """Accept the request and respond at once, as OpenAI does; the provider is called after that.

    Fields that this route does not know are ignored, and named in `warnings`.
    """
    fields = await read_body(context.request)
    body, warnings = checked(fields)
    request = video_request(body, context.options.default_model)
    await check_urls(context.options, body, request)
    key = None
    if idempotency_key is not None:
        holder = holder_of(context.request, context.options.access)
        key = IdempotencyKey(holder, idempotency_key, _fingerprint(fields))
    with naming_image(body):
        created = await context.gateway.jobs.submit(
            context.caller,
            request,
            body.own_url,
            key,
            body.endpoints,
            labels=body.labels,
            priority=priority_named(body.priority),
        )
    reading = context.gateway.jobs.job(context.caller, created.job_id)
    return _response(context, await read_back(reading, job_id=created.job_id), warnings)


@router.get("", summary="List videos")
@needs(Scope.READ)
async def list_videos(
    context: ContextOf,
    after: Annotated[str | None, Query(description="The id of the last video so far")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="By time of creation")] = "desc",
) -> VideoPage:
    """Return a page of the project's jobs, whichever door created them."""
    wanted = JobFilter(oldest_first=order == "asc")
    page = await context.gateway.jobs.jobs(context.caller, wanted, limit, _cursor(after))
    videos = [listed_video(listed) for listed in page.jobs]
    return VideoPage(
        data=videos,
        first_id=videos[0].id if videos else None,
        last_id=videos[-1].id if videos else None,
        has_more=page.next_cursor is not None,
    )


@router.get(
    "/{video_id}",
    response_model=Video,
    responses=VIDEO_RESPONSE,
    summary="Read a video's status",
)
@needs(Scope.READ)
async def retrieve(video_id: str, context: ContextOf) -> JSONResponse:
    """Return a video's status. A canceled video has failed, with the code `canceled`."""
    stored = await context.gateway.jobs.job(context.caller, job_id_of(video_id))
    return _response(context, stored)


def poll_milliseconds(poll_seconds: float) -> int:
    """Return the wait between two reads: that between two reads at the provider, within limits."""
    return max(1, min(round(poll_seconds * 1000), POLL_MILLISECONDS_MAX))


def _response(
    context: Context, stored: StoredJob, warnings: list[str] | None = None
) -> JSONResponse:
    headers = {"openai-poll-after-ms": str(poll_milliseconds(context.options.poll_seconds))}
    return JSONResponse(video_of(stored, warnings).model_dump(), headers=headers)


def _cursor(after: str | None) -> str | None:
    try:
        return None if after is None else job_id_of(after)
    except JobNotFoundError:
        raise InvalidRequestError("after", "after must be the id of a listed video") from None


def _fingerprint(fields: dict[str, Any]) -> str:
    """Return the hash by which a repeated body is recognised; stored keys depend on its form."""
    return sha256(json.dumps(["/v1/videos", fields], sort_keys=True).encode()).hexdigest()
