"""Large files of the upstream stub: made while they are sent, and different for each video."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Any

from aiohttp import web

BLOCK_BYTES = 64 * 1024
_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@lru_cache(maxsize=1)
def _noise() -> bytes:
    return Random(18).randbytes(BLOCK_BYTES)  # noqa: S311 - content, not keys


def blocks(video_id: str, size: int, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file from `start` on. Each block begins with its video and number."""
    position = start
    while position < size:
        number, offset = divmod(position, BLOCK_BYTES)
        mark = _HEAD if number == 0 else b""
        mark += f"{video_id} {number} ".encode()
        block = (mark + _noise())[:BLOCK_BYTES]
        block = block[offset : offset + size - position]
        yield block
        position += len(block)


def digest(video_id: str, size: int) -> str:
    """Return the SHA-256 of a file."""
    whole = hashlib.sha256()
    for block in blocks(video_id, size):
        whole.update(block)
    return whole.hexdigest()


async def send(
    request: web.Request, video_id: str, size: int, rate: float, entry: dict[str, Any]
) -> web.StreamResponse:
    """Send a file, or the end of it that a Range asks for; note what was sent in `entry`."""
    wanted = request.headers.get("Range", "")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
    headers = {
        "Content-Type": "video/mp4",
        "Content-Length": str(size - start),
        "ETag": f'"{video_id}"',
        "Accept-Ranges": "bytes",
    }
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
    entry |= {"start": start, "sent": 0}
    began = time.monotonic()
    try:
        await response.prepare(request)
        for block in blocks(video_id, size, start):
            await response.write(block)
            entry["sent"] += len(block)
            ahead = entry["sent"] / rate - (time.monotonic() - began) if rate else 0
            if ahead > 0:
                await asyncio.sleep(ahead)
    except ConnectionError:
        pass  # the worker was killed
    return response
