"""Requests for videos: create one, remix one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.request import VideoRequest
from reelhook.doors.access import holder_of, route_path
from reelhook.doors.client_calls import CreateRoute, create_once
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.labels import priority_named
from reelhook.doors.media_urls import naming
from reelhook.doors.multipart import read_body
from reelhook.doors.openai.body import OwnBody, RemixBody, VideoBody, checked
from reelhook.doors.openai.ids import job_id_of
from reelhook.doors.openai.openapi import CREATE_BODY, ERRORS, REMIX_BODY, VIDEO_RESPONSE
from reelhook.doors.openai.request import check_files, check_own_url, video_request
from reelhook.doors.openai.response import video_response
from reelhook.doors.openai.schemas import Video, accepted_video, video_of, with_warnings
from reelhook.doors.policy import carries_files, needs
from reelhook.gateway import Created, IdempotencyKey

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=CreateRoute, responses=ERRORS
)
FORMAT = "openai"
IdempotencyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)
]


@router.post(
    "",
    response_model=Video,
    responses=VIDEO_RESPONSE,
    openapi_extra=CREATE_BODY,
    summary="Request a video",
)
@needs(Scope.SUBMIT)
@carries_files
async def create(context: ContextOf, idempotency_key: IdempotencyHeader = None) -> JSONResponse:
    """Accept the request and respond at once, as OpenAI does; the provider is called after that.

    Fields that this route does not know are ignored, and named in `warnings`.
    """
    fields = await read_body(context.request)
    body, warnings = checked(VideoBody, fields)
    request = video_request(body, context.options.default_model)
    await check_files(context.options, body, request)
    submit = partial(context.gateway.new_jobs.submit, context.caller, request)
    with naming(body.names):
        video = await _created(context, fields, body, submit, request, idempotency_key)
    return video_response(context, with_warnings(video, warnings))


@router.post(
    "/{video_id}/remix",
    response_model=Video,
    responses=VIDEO_RESPONSE,
    openapi_extra=REMIX_BODY,
    summary="Remix a video",
)
@needs(Scope.SUBMIT)
async def remix(
    video_id: str, context: ContextOf, idempotency_key: IdempotencyHeader = None
) -> JSONResponse:
    """Request a new video that changes a completed one by a prompt. It is paid like any other.

    400 if the video's provider has no remix.
    """
    fields = await read_body(context.request)
    body, warnings = checked(RemixBody, fields)
    job_id, request = job_id_of(video_id), VideoRequest(body.prompt)
    submit = partial(context.gateway.new_jobs.remix, context.caller, job_id, body.prompt)
    video = await _created(context, fields, body, submit, request, idempotency_key)
    video = video.model_copy(update={"remixed_from_video_id": video_id})
    return video_response(context, with_warnings(video, warnings))


async def _created(
    context: Context,
    fields: dict[str, Any],
    body: OwnBody,
    submit: Callable[..., Awaitable[Created]],
    request: VideoRequest,
    idempotency_key: str | None,
) -> Video:
    """Create a job by `submit`, and return it as a video."""
    await check_own_url(context.options, body)
    key = await _key(context, fields, idempotency_key)
    created = await create_once(
        context,
        fields,
        lambda call: submit(
            body.own_url,
            key,
            body.endpoints,
            labels=body.labels,
            priority=priority_named(body.priority),
            callback_secret=body.callback_secret,
            callback_format=_format(body),
            call=call,
        ),
        key,
    )
    stored = created.stored
    try:
        if stored is None:
            stored = await context.gateway.jobs.job(context.caller, created.job_id)
    except DATABASE_FAILURES:
        # After an error of ours, a client would repeat a request that was accepted.
        now = context.options.clock.now()
        return accepted_video(created.job_id, request, body.labels, now)
    return video_of(stored, context.gateway.models.name_of(context.caller, stored.job))


def _format(body: OwnBody) -> str | None:
    """Return the format of the bodies at the request's own URL; None if it has no URL."""
    return body.callback_format or (None if body.own_url is None else FORMAT)


async def _key(
    context: Context, fields: dict[str, Any], idempotency_key: str | None
) -> IdempotencyKey | None:
    if idempotency_key is None:
        return None
    path = route_path(context.request.scope)
    fingerprint = await asyncio.to_thread(_fingerprint, path, fields)  # it may have files
    holder = holder_of(context.request, context.options.access)
    return IdempotencyKey(holder, idempotency_key, fingerprint)


def _fingerprint(path: str, fields: dict[str, Any]) -> str:
    """Return the hash by which a repeated body is recognised; stored keys depend on its form."""
    return sha256(json.dumps([path, fields], sort_keys=True).encode()).hexdigest()
