"""The finished file, streamed from the provider."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from reelhook.http.context import ServiceOf
from reelhook.ports import Content
from reelhook.service import Service

router = APIRouter(tags=["videos"])


@router.get("/api/sora/videos/{job_id}/download", response_class=StreamingResponse)
async def download(
    job_id: str, service: ServiceOf, byte_range: Annotated[str | None, Header(alias="Range")] = None
) -> StreamingResponse:
    """Return the finished video; 404 before it is finished."""
    return await _stream(service, job_id, byte_range)


@router.get("/api/download", response_class=StreamingResponse)
async def download_by_query(
    service: ServiceOf,
    job_id: Annotated[str, Query(alias="jobId")],
    byte_range: Annotated[str | None, Header(alias="Range")] = None,
) -> StreamingResponse:
    """Return the finished video; the same by a query parameter."""
    return await _stream(service, job_id, byte_range)


async def _stream(service: Service, job_id: str, byte_range: str | None) -> StreamingResponse:
    stack = AsyncExitStack()
    try:
        content = await stack.enter_async_context(await service.content(job_id, byte_range))
    except BaseException:
        await stack.aclose()
        raise
    headers = {"Content-Disposition": f'inline; filename="{job_id}.mp4"', **content.headers}
    return StreamingResponse(
        _chunks(content, stack),
        content.status,
        headers,
        media_type=content.headers.get("Content-Type", "video/mp4"),
    )


async def _chunks(content: Content, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in content.chunks:
            yield chunk
