"""The stream of one call: comments while its job goes on, then one event with the video.

The client takes the first event with data as the answer (`doGenerate` in `gateway-video-model.ts`).
If the connection breaks before that, it sends the same request again, which gets the same job.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from reelhook.domain.errors import (
    DATABASE_FAILURES,
    ContentMissingError,
    JobNotFoundError,
    ProviderError,
)
from reelhook.domain.job import Job, Status
from reelhook.doors.context import Context
from reelhook.doors.error_messages import http_message
from reelhook.doors.vercel.errors import FAILED_DEPENDENCY, error_type
from reelhook.doors.vercel.result import videos_of, written
from reelhook.doors.vercel.schemas import error_of, metadata_of

KEEP_ALIVE_SECONDS = 5.0
"""Less than the time for which proxies usually wait for the next byte."""
WAIT_SECONDS_MAX = 900.0
"""The longest stream. Jobs may go on longer, but connections seldom live for so long."""
TRIES = 3
"""The tries of one call by default (`prepareRetries` of `ai` 7.0.173)."""
KEEP_ALIVE = b": keep-alive\n\n"


class BrokenStreamError(Exception):
    """The stream ends without an answer, so that the client sends the request again."""


class WaitingStream(StreamingResponse):
    """A stream that holds its slot for as long as it lasts."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], slot: ExitStack) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until either side ends the stream."""
        with self._slot:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the events. A broken stream lacks its last piece, which closes the connection."""
        try:
            await super().stream_response(send)
        except BrokenStreamError:
            return


async def events(
    context: Context, job_id: str, warnings: Sequence[dict[str, str]]
) -> AsyncIterator[bytes]:
    """Yield comments until the job has ended, then its result. A job may be deleted meanwhile."""
    yield KEEP_ALIVE  # now the client has the response's head
    try:
        async for piece in _until_the_end(context, job_id, warnings):
            yield piece
    except JobNotFoundError:
        yield _failure(f"{job_id} was deleted while this call waited for it", FAILED_DEPENDENCY)


async def _until_the_end(
    context: Context, job_id: str, warnings: Sequence[dict[str, str]]
) -> AsyncIterator[bytes]:
    feed, caller = context.gateway.feed, context.caller
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS_MAX
    with feed.follow(caller, [job_id]) as follower, context.lifetime(follower.changed.set) as held:
        while (left := end - loop.time()) > 0:
            if feed.stopping.is_set() or held.over:
                raise BrokenStreamError
            follower.take()
            job = await _job(context, job_id)
            if job is not None and job.status.terminal:
                async for piece in _result(context, job, warnings):
                    yield piece
                return
            try:
                async with asyncio.timeout(min(KEEP_ALIVE_SECONDS, left)):
                    await follower.changed.wait()
            except TimeoutError:
                yield KEEP_ALIVE
    yield _failure(
        f"{job_id} goes on after {WAIT_SECONDS_MAX / 60:g} minutes, the longest time of one call. "
        f"Read it by getVideoStatus with the operation {json.dumps({'jobId': job_id})}; "
        "next time give poll: {}, or use startVideo",
        FAILED_DEPENDENCY,
    )


async def _job(context: Context, job_id: str) -> Job | None:
    """Return the job; None if the database is away, which is no reason to lose the video."""
    try:
        return (await context.gateway.jobs.job(context.caller, job_id)).job
    except DATABASE_FAILURES:
        return None


async def _result(
    context: Context, job: Job, warnings: Sequence[dict[str, str]]
) -> AsyncIterator[bytes]:
    if job.status is not Status.COMPLETED:
        yield _failure(error_of(job), FAILED_DEPENDENCY)
        return
    async with AsyncExitStack() as stack:
        try:
            videos = await videos_of(stack, context, job.id)
        except (ProviderError, ContentMissingError) as error:
            yield _failure(f"{job.id} is finished, but has no file: {http_message(error)}", 424)
            return
        body: dict[str, Any] = {
            "type": "result",
            "videos": [videos.data],
            "warnings": [*warnings, *videos.warnings],
            "providerMetadata": metadata_of(job),
        }
        yield b"data: "
        try:
            async for piece in written(body, videos):
                yield piece
        except ProviderError:
            raise BrokenStreamError from None
        yield b"\n\n"


def _failure(message: str, status: int) -> bytes:
    content = {
        "type": "error",
        "message": message,
        "errorType": error_type(status),
        "statusCode": status,  # none after which the client sends the request again
        "param": None,
    }
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"
