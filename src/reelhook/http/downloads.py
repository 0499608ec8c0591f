"""The finished file, streamed from the provider."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from reelhook.http.context import ServiceOf
from reelhook.ports import Content
from reelhook.service import Service

router = APIRouter(tags=["videos"])
ByteRange = Annotated[str | None, Header(alias="Range")]


@router.head("/api/sora/videos/{job_id}/download", include_in_schema=False)
@router.get(
    "/api/sora/videos/{job_id}/download",
    response_class=StreamingResponse,
    summary="Download a finished video",
)
async def download(
    request: Request, job_id: str, service: ServiceOf, byte_range: ByteRange = None
) -> StreamingResponse:
    """Return the finished video; 404 before it is finished."""
    return await _stream(request, service, job_id, byte_range)


@router.head("/api/download", include_in_schema=False)
@router.get(
    "/api/download",
    response_class=StreamingResponse,
    summary="Download a finished video, by a query parameter",
)
async def download_by_query(
    request: Request,
    service: ServiceOf,
    job_id: Annotated[str, Query(alias="jobId")],
    byte_range: ByteRange = None,
) -> StreamingResponse:
    """Return the finished video; the same by a query parameter."""
    return await _stream(request, service, job_id, byte_range)


async def _stream(
    request: Request, service: Service, job_id: str, byte_range: str | None
) -> StreamingResponse:
    stack = AsyncExitStack()
    try:
        content = await stack.enter_async_context(await service.content(job_id, byte_range))
    except BaseException:
        await stack.aclose()
        raise
    headers = {"Content-Disposition": f'inline; filename="{job_id}.mp4"', **content.headers}
    if request.method == "HEAD":
        await stack.aclose()
    return StreamingResponse(
        # Nothing of a closed file: Content-Length tells the whole one all the same.
        () if request.method == "HEAD" else _chunks(content, stack),
        content.status,
        headers,
        media_type=content.headers.get("Content-Type", "video/mp4"),
    )


async def _chunks(content: Content, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in content.chunks:
            yield chunk
