"""The request for a video."""

import asyncio
import json
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.labels import Labels
from reelhook.domain.request import VideoRequest
from reelhook.doors.access import holder_of
from reelhook.doors.client_calls import CreateRoute, create_once
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.labels import priority_named
from reelhook.doors.multipart import read_body
from reelhook.doors.openai.body import checked
from reelhook.doors.openai.openapi import CREATE_BODY, ERRORS, VIDEO_RESPONSE
from reelhook.doors.openai.request import check_urls, naming_image, video_request
from reelhook.doors.openai.response import video_response
from reelhook.doors.openai.schemas import Video, accepted_video, video_of
from reelhook.doors.policy import carries_files, needs
from reelhook.gateway import IdempotencyKey

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=CreateRoute, responses=ERRORS
)


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
        fingerprint = await asyncio.to_thread(_fingerprint, fields)  # it may have files
        holder = holder_of(context.request, context.options.access)
        key = IdempotencyKey(holder, idempotency_key, fingerprint)
    with naming_image(body):
        created = await create_once(
            context,
            fields,
            lambda call: context.gateway.jobs.submit(
                context.caller,
                request,
                body.own_url,
                key,
                body.endpoints,
                labels=body.labels,
                priority=priority_named(body.priority),
                call=call,
            ),
        )
    video = await _video(context, created.job_id, request, body.labels)
    return video_response(context, video.model_copy(update={"warnings": warnings or None}))


async def _video(context: Context, job_id: str, request: VideoRequest, labels: Labels) -> Video:
    """Return the video of a stored job, also if the database is away now.

    After an error of ours, a client would repeat a request that was accepted.
    """
    try:
        return video_of(await context.gateway.jobs.job(context.caller, job_id))
    except DATABASE_FAILURES:
        return accepted_video(job_id, request, labels, context.options.clock.now())


def _fingerprint(fields: dict[str, Any]) -> str:
    """Return the hash by which a repeated body is recognised; stored keys depend on its form."""
    return sha256(json.dumps(["/v1/videos", fields], sort_keys=True).encode()).hexdigest()
