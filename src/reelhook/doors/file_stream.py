"""A finished file as a response: from the archive, the store itself, or the provider."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from reelhook.domain.byte_range import Range
from reelhook.domain.file_name import content_disposition
from reelhook.doors.context import Context
from reelhook.doors.file_response import FileDownload, file_download, is_version, matches
from reelhook.gateway import FinishedFile

_CONTENT: dict[str, Any] = {
    kind: {} for kind in ("video/*", "image/jpeg", "application/octet-stream")
}
_HEADERS: dict[str, Any] = {
    name: {"description": meaning, "schema": {"type": "string"}}
    for name, meaning in (
        ("ETag", "The version of the file"),
        ("Content-Disposition", "The name of the file"),
    )
}
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _CONTENT, "headers": _HEADERS},
    206: {"description": "The range", "content": _CONTENT, "headers": _HEADERS},
    302: {
        "description": "The file is at the store's own URL (`REELHOOK_ARCHIVE_REDIRECT`)",
        "headers": {"Location": {"description": "The URL", "schema": {"type": "string"}}},
    },
    304: {"description": "The client has this version of the file (`If-None-Match`)"},
    410: {
        "description": "`content_missing`: the provider no longer has it, and it was not archived; "
        "`content_removed`: it was removed from the archive; `link_expired`: ask for a new link",
    },
    416: {
        "description": "`range_not_satisfiable`: the file has no such range",
        "headers": {
            "Content-Range": {"description": "`bytes */<size>`", "schema": {"type": "string"}}
        },
    },
}
"""The responses of a route that returns `stream`, for the OpenAPI document."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """The part of a request that says which part of a file is wanted, and how.

    `redirect` False: the file comes from this server, not from the store's own URL.
    """

    byte_range: Range | None
    if_range: str | None
    if_none_match: str | None
    attachment: bool
    redirect: bool


# Asynchronous, since FastAPI runs other dependencies in a thread.
async def _file_request(
    byte_range: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[
        str | None,
        Header(description="The range applies only if the file still has this tag"),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="The tags of the versions that the client has")
    ] = None,
    download: Annotated[
        bool, Query(description="With 1, a browser saves the file in place of showing it")
    ] = False,
    redirect: Annotated[
        bool, Query(description="With 0, the file comes from here, also if the store has a URL")
    ] = True,
) -> DownloadRequest:
    return DownloadRequest(Range.read(byte_range), if_range, if_none_match, download, redirect)


WantedFile = Annotated[DownloadRequest, Depends(_file_request)]


async def stream(context: Context, file: FinishedFile, wanted: DownloadRequest) -> Response:
    """Return a finished file, or the part of it that a request asks for.

    Raises `HTTPException` (416) if it has no such part. For an archived file, nothing is opened to
    answer `HEAD`, or a client that has the file already.
    """
    known = file.unopened()
    if known is not None:
        tag = known.headers["ETag"]
        if matches(wanted.if_none_match, tag):
            return _unchanged(tag)
        if wanted.if_range is not None and not is_version(wanted.if_range, known.headers):
            wanted = replace(wanted, byte_range=None, if_range=None)
    is_head = context.request.method == "HEAD"
    # A store's URL opens the file in the browser, so one that is to be saved comes from here.
    redirects = wanted.redirect and not (is_head or wanted.attachment or context.by_browser_token)
    if redirects and (url := await file.store_url(_seconds_left(context))) is not None:
        return RedirectResponse(url, 302, {"Cache-Control": "no-store"})
    async with AsyncExitStack() as stack:
        unopened = file.unopened(wanted.byte_range) if is_head else None
        if unopened is not None:
            download = file_download(unopened, wanted.byte_range)
        else:
            download = await _opened(stack, file, wanted)
        headers = _headers(file, download, wanted)
        if "ETag" in headers and matches(wanted.if_none_match, headers["ETag"]):
            return _unchanged(headers["ETag"])
        if not is_head:
            chunks = _chunks(download, stack.pop_all())
            return StreamingResponse(chunks, download.status, headers)
    # The file is closed, but its headers, such as Content-Length, are sent.
    return StreamingResponse((), download.status, headers)


def _seconds_left(context: Context) -> float:
    """Return the time for which the request's link is valid; infinity: it does not end."""
    expires_at = context.credential.expires_at
    if expires_at is None:
        return math.inf
    return (expires_at - context.options.clock.now()) / 1000


def _headers(file: FinishedFile, download: FileDownload, wanted: DownloadRequest) -> dict[str, str]:
    if download.status == 416:
        placed = download.headers.get("Content-Range", "")
        size = f"; it has {placed.rpartition('/')[2]} bytes" if placed else ""
        added = {"Content-Range": placed} if placed else {}
        raise HTTPException(416, f"The file has no such range{size}", added)
    content_type = download.headers["Content-Type"]
    name = content_disposition(file.title, file.job_id, content_type, attachment=wanted.attachment)
    return {"Content-Disposition": name, **download.headers}


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag})


async def _opened(
    stack: AsyncExitStack, file: FinishedFile, wanted: DownloadRequest
) -> FileDownload:
    """Open the file until the stack is closed.

    Not every file server supports `If-Range`, so it is evaluated here. If the file has changed, it
    is requested again as a whole.
    """
    byte_range, if_range = wanted.byte_range, wanted.if_range
    content = await stack.enter_async_context(file.open(byte_range))
    if byte_range is None or if_range is None or is_version(if_range, content.headers):
        return file_download(content, byte_range)
    if content.status != 200:
        await stack.aclose()
        content = await stack.enter_async_context(file.open())
    return file_download(content, byte_range if is_version(if_range, content.headers) else None)


async def _chunks(file: FileDownload, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in file.chunks:
            yield chunk
