"""The routes of the first client: request a video, estimate its price, and read its status."""

import json
from functools import partial
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Query

from reelhook.domain.caller import Scope
from reelhook.domain.request import SHORT_CHARACTERS_MAX, VideoRequest, check_text
from reelhook.doors.access import holder_of
from reelhook.doors.client_calls import KeyedCreateRoute, create_within_rate
from reelhook.doors.compat.estimates import EstimateResponse, estimate_response
from reelhook.doors.compat.request import RENDER_VERSION, video_request
from reelhook.doors.compat.schemas import (
    GenerateBody,
    GenerateResponse,
    StatusResponse,
    status_response,
)
from reelhook.doors.context import ContextOf
from reelhook.doors.labels import priority_named
from reelhook.doors.media_urls import check_media_urls, names_with_video, naming, with_video
from reelhook.doors.multipart import in_thread_if_large
from reelhook.doors.policy import KeyRoute, carries_inline_files, needs
from reelhook.gateway import IdempotencyKey

router = APIRouter(tags=["videos"], route_class=KeyRoute)
creating = APIRouter(tags=["videos"], route_class=KeyedCreateRoute)


@creating.post("/api/generate", summary="Request a video")
@needs(Scope.SUBMIT)
@carries_inline_files
async def generate(
    context: ContextOf,
    body: GenerateBody,
    render_version: Annotated[str | None, Query(alias="renderVersion")] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> GenerateResponse:
    """Accept the request and respond at once; the provider is called after that.

    With an `Idempotency-Key` the same request can be sent again for 24 hours: it gets the first
    response again, whatever the key's rate, and nothing is rendered twice.
    """
    context = await context.within(body.project)
    options = context.options
    version = body.render_version or render_version or RENDER_VERSION
    if (own_url := body.own_url) is not None:
        field = "webhookUrl" if body.callback_url is None else "callbackUrl"
        await options.check_url(own_url, field=field)
    await check_media_urls(options, body)
    video = _video(body, version, options.default_model)
    key = None
    if idempotency_key is not None:
        holder = holder_of(context.request, options.access)
        size = len(await context.request.body())
        fingerprint = await in_thread_if_large(size, partial(_fingerprint, body, version))
        key = IdempotencyKey(holder, idempotency_key, fingerprint)
    submit = partial(
        context.gateway.new_jobs.submit,
        context.caller,
        video,
        own_url,
        key,
        body.endpoints,
        labels=body.labels,
        priority=priority_named(body.priority),
        callback_secret=body.callback_secret,
        callback_format=body.callback_format,
    )
    with naming(names_with_video(body.video, body.reference_videos)):
        created = await create_within_rate(context, submit, key)
    return GenerateResponse(
        job_id=created.job_id,
        title=video.title,
        render_version=version,
        message="The video is being generated; webhooks report its progress.",
        warnings=body.warnings or None,
    )


@router.post("/api/estimate", summary="Estimate the price of a video")
@needs(Scope.READ)
@carries_inline_files
async def estimate(
    context: ContextOf,
    body: GenerateBody,
    render_version: Annotated[str | None, Query(alias="renderVersion")] = None,
) -> EstimateResponse:
    """Take the body of a request for a video and return its price with each of its models, as far
    as price tables tell it. Nothing is created or sent.
    """
    version = body.render_version or render_version or RENDER_VERSION
    video = _video(body, version, context.options.default_model)
    return estimate_response(context.gateway.models.estimate(context.caller, video))


@router.get("/api/videos/status/{job_id}", summary="Read a video's status")
@needs(Scope.READ, one_job="job_id")
async def status(job_id: str, context: ContextOf) -> StatusResponse:
    """Return a job's status, for clients that missed a webhook."""
    stored = await context.gateway.jobs.job(context.caller, job_id)
    waiting = await context.gateway.waiting.of(context.caller, stored.job)
    has_poster = await context.gateway.content.with_poster(context.caller, [stored.job])
    poster_url = context.poster_url(job_id) if has_poster else None
    return status_response(stored, context.video_url(job_id), poster_url, waiting)


def _video(body: GenerateBody, version: str, default_model: str | None) -> VideoRequest:
    if body.model is not None:
        check_text("model", body.model, SHORT_CHARACTERS_MAX)
    return video_request(
        body.script,
        direction=body.prompt,
        wallet_address=body.wallet_address,
        render_version=version,
        model=body.model or default_model or "",
        seconds=body.seconds,
        size=body.size,
        aspect_ratio=body.aspect_ratio,
        image=body.image,
        last_frame=body.last_frame,
        reference_images=body.reference_images,
        reference_videos=with_video(body.video, body.reference_videos),
        reference_audios=body.reference_audios,
        resolution=body.resolution,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        audio=body.audio,
        options=body.provider_options or {},
        fallbacks=tuple(body.fallbacks),
    )


def _fingerprint(body: GenerateBody, version: str) -> str:
    """Return the hash by which a repeated body is recognised; stored keys depend on its form."""
    fields = body.model_dump(exclude=_left_out(body)) | {"version": version}
    return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _left_out(body: GenerateBody) -> set[str]:
    # A request without these has the fingerprint that it had before these fields existed.
    later = (
        *("endpoints", "aspect_ratio", "image", "seed", "provider_options", "fallbacks"),
        *("external_id", "metadata", "priority", "resolution", "negative_prompt", "audio"),
        *("last_frame", "reference_images", "reference_videos", "reference_audios"),
        *("callback_url", "callback_secret", "callback_format", "video"),
    )
    empty = [name for name in later if getattr(body, name) in (None, [])]
    no_metadata = ["metadata"] if body.metadata == {} else []
    return {"render_version", "project", *empty, *no_metadata}
