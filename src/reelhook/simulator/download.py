"""Serves videos from memory, whole or one requested range (RFC 9110, section 14)."""

from aiohttp import web

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import Variant, VideoSpec
from reelhook.simulator.render_process import RenderError
from reelhook.simulator.render_queue import RenderQueue


async def video_download(
    request: web.Request, queue: RenderQueue, video: VideoSpec, variant: Variant = Variant.VIDEO
) -> web.Response:
    """Return a video, see `download`. Raises `SimulatedRefusal` if it can't be rendered."""
    try:
        content = await queue.content(video, variant)
    except RenderError as error:
        raise SimulatedRefusal(500, f"The video could not be rendered: {error}") from error
    return download(request, content, variant.content_type)


def download(request: web.Request, content: bytes, content_type: str) -> web.Response:
    """Return the content: 206 for one satisfiable range, 416 for an unsatisfiable one, else 200."""
    headers = {"Accept-Ranges": "bytes"}
    try:
        wanted = request.http_range
    except ValueError:
        # Several ranges, or another unit: a server may ignore the header.
        wanted = slice(None)
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=content, content_type=content_type, headers=headers)
    start, end, _ = wanted.indices(len(content))
    if start >= end:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return web.Response(
        status=206, body=content[start:end], content_type=content_type, headers=headers
    )
