"""Files of requests, for providers that fetch them here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from reelhook.doors.context import ContextOf
from reelhook.doors.file_response import SAFE
from reelhook.doors.policy import CallbackRoute

router = APIRouter(tags=["providers"], route_class=CallbackRoute)
PIECE_BYTES = 256 * 1024


@router.head("/providers/files/{token}", include_in_schema=False)
@router.get(
    "/providers/files/{token}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file",
            "content": {kind: {} for kind in ("image/*", "video/*", "audio/*")},
        }
    },
    summary="For providers: a file of a request",
)
async def file(token: str, context: ContextOf) -> StreamingResponse:
    """Return a file that a request has, whole. The address itself is the key; it expires a day
    after it was given to the provider.
    """
    async with AsyncExitStack() as stack:
        opened = context.gateway.provider_files.open(context.caller, token)
        found = await stack.enter_async_context(opened)
        headers = {
            "Content-Type": found.content_type,
            "Content-Length": str(len(found.body)),
            "Cache-Control": "private",
            **SAFE,
        }
        if context.request.method != "HEAD":
            return StreamingResponse(_pieces(found.body, stack.pop_all()), headers=headers)
    return StreamingResponse((), headers=headers)


async def _pieces(body: bytes, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]
