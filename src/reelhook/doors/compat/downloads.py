"""The finished file, streamed from the provider."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.file_stream import ByteRange, IfRange, stream_video
from reelhook.doors.policy import SignedDownloadRoute, needs

router = APIRouter(tags=["videos"], route_class=SignedDownloadRoute)


@router.head("/api/sora/videos/{job_id}/download", include_in_schema=False)
@router.get(
    "/api/sora/videos/{job_id}/download",
    response_class=StreamingResponse,
    summary="Download a finished video",
)
@needs(Scope.READ, one_job="job_id")
async def download(
    job_id: str,
    context: ContextOf,
    byte_range: ByteRange = None,
    if_range: IfRange = None,
) -> StreamingResponse:
    """Return the finished video; 404 before it is finished."""
    return await stream_video(context, job_id, byte_range, if_range)


@router.head("/api/download", include_in_schema=False)
@router.get(
    "/api/download",
    response_class=StreamingResponse,
    summary="Download a finished video, by a query parameter",
)
@needs(Scope.READ, one_job="jobId")
async def download_by_query(
    context: ContextOf,
    job_id: Annotated[str, Query(alias="jobId")],
    byte_range: ByteRange = None,
    if_range: IfRange = None,
) -> StreamingResponse:
    """Return the finished video, like the route with the id in its path."""
    return await stream_video(context, job_id, byte_range, if_range)
