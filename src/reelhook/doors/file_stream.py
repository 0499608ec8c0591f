"""A finished file, streamed from its provider."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated
from urllib.parse import quote

from fastapi import Header
from fastapi.responses import StreamingResponse

from reelhook.doors.context import Context
from reelhook.doors.file_response import FileDownload, Range, file_download, is_version

ByteRange = Annotated[str | None, Header(alias="Range")]
IfRange = Annotated[
    str | None,
    Header(alias="If-Range", description="The range applies only if the file still has this tag"),
]


async def stream_video(
    context: Context,
    job_id: str,
    byte_range: str | None,
    if_range: str | None,
) -> StreamingResponse:
    """Return the finished video of a job, or the part of it that a request asks for.

    Raises `ContentNotReadyError` before it is finished.
    """
    stack = AsyncExitStack()
    try:
        file = await _file(stack, context, job_id, Range.read(byte_range), if_range)
    except BaseException:
        await stack.aclose()
        raise
    is_head = context.request.method == "HEAD"
    if is_head:
        await stack.aclose()
    return StreamingResponse(
        # For HEAD the file is closed, but its headers, such as Content-Length, are sent.
        () if is_head else _chunks(file, stack),
        file.status,
        {
            "Content-Disposition": f'inline; filename="{quote(job_id, safe="")}.mp4"',
            **file.headers,
        },
    )


async def _file(
    stack: AsyncExitStack,
    context: Context,
    job_id: str,
    wanted: Range | None,
    if_range: str | None,
) -> FileDownload:
    """Open the file until the stack is closed.

    Not every file server supports `If-Range`, so it is evaluated here. If the file has changed, it
    is requested again as a whole.
    """
    contents, caller = context.gateway.content, context.caller
    content = await stack.enter_async_context(
        await contents.open(caller, job_id, None if wanted is None else str(wanted))
    )
    if wanted is None or if_range is None or is_version(if_range, content.headers):
        return file_download(content, wanted)
    if content.status != 200:
        await stack.aclose()
        content = await stack.enter_async_context(await contents.open(caller, job_id))
    return file_download(content, wanted if is_version(if_range, content.headers) else None)


async def _chunks(file: FileDownload, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in file.chunks:
            yield chunk
