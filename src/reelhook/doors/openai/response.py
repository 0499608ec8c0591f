"""The response with one video, and the wait until the next read."""

from fastapi.responses import JSONResponse

from reelhook.doors.context import Context
from reelhook.doors.openai.schemas import Video

POLL_MILLISECONDS_MAX = 15_000
"""The SDKs' `poll` reads the header once and keeps it, so a longer wait would delay every video."""


def video_response(context: Context, video: Video) -> JSONResponse:
    """Return the response."""
    headers = {"openai-poll-after-ms": str(poll_milliseconds(context.options.poll_seconds))}
    return JSONResponse(video.model_dump(), headers=headers)


def poll_milliseconds(poll_seconds: float) -> int:
    """Return the wait between two reads: that between two reads at the provider, within limits."""
    return max(1, min(round(poll_seconds * 1000), POLL_MILLISECONDS_MAX))
