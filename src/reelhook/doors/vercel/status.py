"""The status of an operation, and the models."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from reelhook.domain.caller import Caller, ModelNotAllowedError, Scope
from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import JOB_ID_CHARACTERS_MAX
from reelhook.doors.context import ContextOf
from reelhook.doors.policy import KeyRoute, needs
from reelhook.doors.vercel.body import WireModel
from reelhook.doors.vercel.result import Videos, videos_of, written
from reelhook.doors.vercel.schemas import (
    ERRORS,
    OPERATION_JOB,
    GatewayConfig,
    ListedModel,
    Specification,
    VideoStatus,
    error_of,
    metadata_of,
    wire_status,
)

router = APIRouter(
    prefix="/v4/ai", tags=["Vercel's AI Gateway"], route_class=KeyRoute, responses=ERRORS
)


class StatusBody(WireModel):
    """The operation that a start returned."""

    operation: Any = Field(description="As `operation` of the start's response")


@router.post("/video-model/status", response_model=VideoStatus, summary="Read a video's status")
@needs(Scope.READ)
async def status(body: StatusBody, context: ContextOf) -> Response:
    """Return the status, and the video once there is one."""
    job_id = _job_id(body.operation)
    job = (await context.gateway.jobs.job(context.caller, job_id)).job
    await context.gateway.client_calls.used(context.caller, job_id)
    content: dict[str, Any] = {"status": wire_status(job), "providerMetadata": metadata_of(job)}
    match content["status"]:
        case "error":
            if job.recovered_at is not None:
                video = {"recovered": True, "videoUrl": context.video_url(job_id)}
                content["providerMetadata"]["reelhook"] |= video
            return JSONResponse(content | {"error": error_of(job)})
        case "completed":
            return await _completed(context, job_id, content)
        case _:
            return JSONResponse(content)


@router.get("/config", summary="List the models that a video may name")
@needs(Scope.READ)
async def config(context: ContextOf) -> GatewayConfig:
    """Return the known models, those that servers list, and the aliases, if the key may use them.

    A provider may have others, which are passed on.
    """
    catalog = context.gateway.models.catalog(context.caller)
    servers = await context.gateway.models.servers(context.caller)
    known = (route.display_name for route in catalog.models())
    names = (*known, *(name for server in servers for name in server.models), *catalog.aliases)
    routes = ((name, catalog.choose(name)) for name in dict.fromkeys(names))
    models = [_listed(name, route) for name, route in routes if _allows(context.caller, route)]
    return GatewayConfig(models=models)


async def _completed(context: ContextOf, job_id: str, content: dict[str, Any]) -> Response:
    stack = AsyncExitStack()
    try:
        videos = await videos_of(stack, context, job_id)
    except BaseException:
        await stack.aclose()
        raise
    content |= {"videos": [videos.data], "warnings": list(videos.warnings)}
    return StreamingResponse(_pieces(stack, content, videos), media_type="application/json")


async def _pieces(
    stack: AsyncExitStack, content: dict[str, Any], videos: Videos
) -> AsyncIterator[bytes]:
    async with stack:
        async for piece in written(content, videos):
            yield piece


def _job_id(operation: Any) -> str:
    job_id = operation.get(OPERATION_JOB) if isinstance(operation, dict) else operation
    if not isinstance(job_id, str) or not 0 < len(job_id) <= JOB_ID_CHARACTERS_MAX:
        raise InvalidRequestError("operation", "operation must be that of a start's response")
    return job_id


def _listed(name: str, route: ModelRoute) -> ListedModel:
    specification = Specification(provider=route.provider, model_id=name)
    return ListedModel(id=name, name=name, specification=specification)


def _allows(caller: Caller, route: ModelRoute) -> bool:
    try:
        caller.check_model(route.display_name)
    except ModelNotAllowedError:
        return False
    return True
