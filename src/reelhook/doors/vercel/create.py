"""The requests for a video: one that waits for it, and one that starts it."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import SHORT_CHARACTERS_MAX, VideoRequest, check_text
from reelhook.doors.access import holder_of
from reelhook.doors.client_calls import CreateRoute, create_once
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.labels import priority_named
from reelhook.doors.limits import StreamSlots
from reelhook.doors.multipart import read_body
from reelhook.doors.policy import carries_inline_files, needs
from reelhook.doors.vercel.body import (
    OwnFields,
    StartBody,
    VideoModelBody,
    body_document,
    checked,
    own_fields,
    own_url,
    unknown_fields,
)
from reelhook.doors.vercel.errors import MODEL_HEADER, UnknownModelError
from reelhook.doors.vercel.request import check_urls, translated, unsupported
from reelhook.doors.vercel.schemas import ERRORS, OPERATION_JOB, Started, WireWarning
from reelhook.doors.vercel.waiting import TRIES, WAIT_SECONDS_MAX, WaitingStream, events
from reelhook.gateway import Created, IdempotencyKey

router = APIRouter(
    prefix="/v4/ai/video-model",
    tags=["Vercel's AI Gateway"],
    route_class=CreateRoute,
    responses=ERRORS,
)
FORMAT = "vercel"
WARNINGS_MAX = 20
_NAME_CHARACTERS_MAX = 64
ModelId = Annotated[
    str | None, Header(alias=MODEL_HEADER, description="`provider/model`, or an alias")
]
Key = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=255)]
B = TypeVar("B", bound=VideoModelBody)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, translated; `fields` are its body as it came."""

    fields: dict[str, Any]
    model: str
    video: VideoRequest
    own: OwnFields
    url: str | None = field(repr=False)
    warnings: tuple[dict[str, str], ...]

    @property
    def decisive(self) -> dict[str, Any]:
        """All that decides about the video."""
        return {"model": self.model, "body": self.fields}


@router.post(
    "",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event, the video"}},
    openapi_extra=body_document(VideoModelBody),
    summary="Make a video, and wait for it",
)
@needs(Scope.SUBMIT)
@carries_inline_files
async def generate(context: ContextOf, model: ModelId = None, key: Key = None) -> Response:
    """Accept the request, and send comments until the video is finished; then send the video."""
    asked = await _asked(context, VideoModelBody, model)
    slots: StreamSlots = context.request.app.state.stream_slots
    idempotency = await _idempotency(context, asked, key)
    with ExitStack() as stack:
        stack.enter_context(slots.take())  # not after the create, when nothing may be refused
        created = await _created(context, asked, idempotency, asked.own.callback_secret)
        slot = stack.pop_all()
    return WaitingStream(events(context, created.job_id, asked.warnings), slot)


@router.post(
    "/start",
    response_model=Started,
    openapi_extra=body_document(StartBody),
    summary="Start a video",
)
@needs(Scope.SUBMIT)
@carries_inline_files
async def start(context: ContextOf, model: ModelId = None, key: Key = None) -> JSONResponse:
    """Accept the request and respond at once. With `callbackUrl` the response has the secret that
    signs the webhook; the response to the same request with the same key has the same secret.
    """
    asked = await _asked(context, StartBody, model)
    idempotency = await _idempotency(context, asked, key)
    secret = asked.own.callback_secret
    if asked.url is not None and secret is None:
        secret = await _callback_secret(context, asked, idempotency)
    created = await _created(context, asked, idempotency, secret)
    job = {"jobId": created.job_id, "status": "pending"}
    if secret is not None:
        job["webhookSigningSecret"] = secret
    started = Started(
        operation={OPERATION_JOB: created.job_id},
        warnings=[WireWarning(**warning) for warning in asked.warnings],
        provider_metadata={"gateway": {"asyncJob": job}, "reelhook": {"jobId": created.job_id}},
    )
    return JSONResponse(started.model_dump(by_alias=True, exclude_none=True))


async def _asked(context: Context, kind: type[B], model: str | None) -> Asked:
    fields = await read_body(context.request)
    body = checked(kind, fields)
    own = own_fields(body)
    model = model or context.options.default_model or ""
    check_text("model", model, SHORT_CHARACTERS_MAX, empty=True)
    route = _route(context, model)
    asked = await asyncio.to_thread(translated, body, own, model, route)
    url = own_url(body, own)
    await check_urls(context.options, url, asked.request)
    unknown = [
        unsupported(
            name[:_NAME_CHARACTERS_MAX], "this is no field of the request, so it is ignored"
        )
        for name in unknown_fields(kind, fields)[:WARNINGS_MAX]
    ]
    return Asked(fields, model, asked.request, own, url, (*asked.warnings, *unknown))


def _route(context: Context, model: str) -> ModelRoute:
    try:
        return context.gateway.models.catalog(context.caller).choose(model)
    except InvalidRequestError as error:
        if not model:
            raise
        raise UnknownModelError(model, error) from None


async def _created(
    context: Context, asked: Asked, idempotency: IdempotencyKey | None, secret: str | None
) -> Created:
    own = asked.own
    return await create_once(
        context,
        asked.decisive,
        lambda call: context.gateway.new_jobs.submit(
            context.caller,
            asked.video,
            asked.url,
            idempotency,
            own.endpoints,
            labels=own.labels,
            priority=priority_named(own.priority),
            callback_secret=secret,
            callback_format=own.callback_format or FORMAT,
            call=call,
        ),
        idempotency,
        counts=False,
        timeout_seconds=TRIES * WAIT_SECONDS_MAX,
    )


async def _idempotency(context: Context, asked: Asked, key: str | None) -> IdempotencyKey | None:
    if key is None:
        return None
    holder = holder_of(context.request, context.options.access)
    return IdempotencyKey(holder, key, await _fingerprint(context, asked)).of(context.caller)


async def _callback_secret(
    context: Context, asked: Asked, idempotency: IdempotencyKey | None
) -> str:
    """Return the secret of a call, which nobody can guess and every repetition has again."""
    if idempotency is None:
        call = [context.caller.project, await _fingerprint(context, asked)]
    else:
        call = [context.caller.project, idempotency.holder, idempotency.key]
    return context.options.access.callback_secret(json.dumps(call))


async def _fingerprint(context: Context, asked: Asked) -> str:
    """Return the hash by which a repeated body is recognised; stored keys depend on its form."""
    content = [context.request.url.path, asked.decisive]
    text = await asyncio.to_thread(json.dumps, content, sort_keys=True)  # it may have files
    return sha256(text.encode()).hexdigest()
