"""The finished video, and its poster."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.file_stream import FILE_RESPONSES, WantedFile, stream
from reelhook.doors.policy import SignedDownloadRoute, needs

POSTER_RESPONSES: dict[int | str, dict[str, Any]] = {
    **FILE_RESPONSES,
    404: {
        "description": "`poster_not_ready`: it is still being made; `poster_not_found`: this video "
        "has none; `content_not_ready`: there is no video yet",
        "headers": {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}},
    },
}
router = APIRouter(tags=["videos"], route_class=SignedDownloadRoute)


@router.head("/api/sora/videos/{job_id}/download", include_in_schema=False)
@router.get(
    "/api/sora/videos/{job_id}/download",
    response_class=StreamingResponse,
    responses=FILE_RESPONSES,
    summary="Download a finished video",
)
@needs(Scope.READ, one_job="job_id")
async def download(job_id: str, context: ContextOf, wanted: WantedFile) -> Response:
    """Return the finished video; 404 before it is finished."""
    video = await context.gateway.content.video(context.caller, job_id)
    return await stream(context, video, wanted)


@router.head("/api/download", include_in_schema=False)
@router.get(
    "/api/download",
    response_class=StreamingResponse,
    responses=FILE_RESPONSES,
    summary="Download a finished video, by a query parameter",
)
@needs(Scope.READ, one_job="jobId")
async def download_by_query(
    context: ContextOf, job_id: Annotated[str, Query(alias="jobId")], wanted: WantedFile
) -> Response:
    """Return the finished video, like the route with the id in its path."""
    video = await context.gateway.content.video(context.caller, job_id)
    return await stream(context, video, wanted)


@router.head("/api/sora/videos/{job_id}/poster", include_in_schema=False)
@router.get(
    "/api/sora/videos/{job_id}/poster",
    response_class=StreamingResponse,
    responses=POSTER_RESPONSES,
    summary="Download the poster of a finished video",
)
@needs(Scope.READ, one_job="job_id")
async def poster(job_id: str, context: ContextOf, wanted: WantedFile) -> Response:
    """Return the poster, a JPEG of the video's beginning. 404 `poster_not_ready` while it is made,
    `poster_not_found` if there is none.
    """
    image = await context.gateway.content.poster(context.caller, job_id)
    return await stream(context, image, wanted)
