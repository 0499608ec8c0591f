"""Receiving what a provider answers: bounded in memory, and without holding up the event loop."""

import asyncio
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from aiohttp import ClientResponse

from reelhook.providers.http.response import TEXT_BYTES, ProviderResponse, read_json

RESPONSE_BYTES_MAX = 4 * 1024 * 1024
"""A job as its provider shows it, decompressed, but for images."""
PAGE_BYTES_MAX = 8 * 1024 * 1024
"""A page of a listing that shows prompts: 100 of 32,000 characters each take up to 38 MB, escaped
as `\\uXXXX\\uXXXX`, and a sixth of that in most languages."""
SENT_BYTES_MAX = 64 * 1024 * 1024
"""What a response may have in all, images included."""
_AT_ONCE = ((64 * 1024, 16), (512 * 1024, 1))
"""From so many bytes on only so many responses are received at once; the others wait."""
UNREAD_BYTES = 32 * 1024
"""What a connection may hold before it is read; aiohttp takes twice that, and a piece more."""
_PIECE_BYTES_MAX = 16 * 1024
_LOOK_BYTES = 256 * 1024
_READ_APART_FROM_BYTES = 16 * 1024
_READ_ASIDE_FROM_BYTES = 64 * 1024
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_PLAIN = frozenset({"", "identity"})
_IMAGE = re.compile(rb'("data:[\w.+/-]{1,100};base64,)[A-Za-z0-9+/=]{1024,}')
"""An image that came along with a request. Some providers show it again with each answer."""
_IMAGE_BEGINS = b'"data:'
_IMAGE_OVERLAP = 1024 + 128
_reader = ThreadPoolExecutor(1, thread_name_prefix="json")
"""One thread: while it reads JSON nothing else runs, and the loop has its turn in between."""


class ResponseMemory:
    """What the responses of one account may take of memory at once.

    `images`: whether they may show again the images that came along with requests.
    """

    def __init__(self, *, images: bool = False) -> None:
        self._sent_max = SENT_BYTES_MAX if images else None
        self._steps = [(size, asyncio.Semaphore(count)) for size, count in _AT_ONCE]
        self._reading = asyncio.Semaphore(1)

    async def receive(
        self, response: ClientResponse, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Read a response to its end. Raises `CONNECTION_ERRORS`.

        Its request must have been made without automatic decompression. One that is longer than
        `bytes_max`, decompressed and without images, has no body.
        """
        async with AsyncExitStack() as stack:
            body = await self._body(response, bytes_max, stack)
            return await self._answer(response, body)

    async def _body(
        self, response: ClientResponse, bytes_max: int, stack: AsyncExitStack
    ) -> bytearray | None:
        sent_max = self._sent_max or bytes_max
        if (response.content_length or 0) > sent_max:
            response.close()
            return None
        unpacked = _Unpacked(response.headers.get("Content-Encoding", ""))
        steps = list(self._steps)
        await _wait_for_room(steps, response.content_length or 0, stack)
        body, received, seen = bytearray(), 0, 0
        while chunk := await response.content.readany():
            for piece in unpacked.pieces(chunk):
                received += len(piece)
                body += piece
                await _wait_for_room(steps, len(body), stack)
                if len(body) - seen > _LOOK_BYTES:
                    seen = _drop_images(body, seen) if self._sent_max else len(body)
                    if len(body) > bytes_max or received > sent_max:
                        response.close()
                        return None
                    await asyncio.sleep(0)
        unpacked.end()
        if self._sent_max and len(body) > _LOOK_BYTES:
            _drop_images(body, seen)
        return None if len(body) > bytes_max else body

    async def _answer(self, response: ClientResponse, body: bytearray | None) -> ProviderResponse:
        """Read the JSON of what is not small: one after the other, in a thread what is large."""
        status, headers = response.status, response.headers
        if body is None or len(body) < _READ_APART_FROM_BYTES:
            return ProviderResponse(status, headers, None if body is None else bytes(body))
        async with self._reading:
            if len(body) < _READ_ASIDE_FROM_BYTES:
                content = read_json(body)
                await asyncio.sleep(0)
            else:
                loop = asyncio.get_running_loop()
                content = await loop.run_in_executor(_reader, read_json, body)
        # Of the body nothing more is asked but how it begins.
        return ProviderResponse(status, headers, bytes(body[:TEXT_BYTES]), (content,))


async def _wait_for_room(
    steps: list[tuple[int, asyncio.Semaphore]], size: int, stack: AsyncExitStack
) -> None:
    """Take the steps that a response of this size needs, smallest first, so that none blocks."""
    while steps and size > steps[0][0]:
        await stack.enter_async_context(steps.pop(0)[1])


class _Unpacked:
    """Unpacks a body as it comes. Raises ValueError for what can't be unpacked."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._stream: zlib._Decompress | None = None
        if self._encoding not in _PLAIN | _ENCODINGS:
            raise ValueError(f"it came with Content-Encoding {encoding[:50]!r}, unasked")

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk unpacks to, in pieces of bounded length."""
        if self._encoding in _PLAIN:
            yield chunk
            return
        if self._stream is None:
            # Some servers leave zlib's head out of what they call deflate.
            bare = self._encoding == "deflate" and chunk[0] & 0x0F != 8
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        try:
            full = True  # what fills a piece may have more behind it that was unpacked already
            while (chunk or full) and not self._stream.eof:
                piece = self._stream.decompress(chunk, _PIECE_BYTES_MAX)
                chunk, full = self._stream.unconsumed_tail, len(piece) == _PIECE_BYTES_MAX
                yield piece
        except zlib.error as error:
            raise ValueError(f"its body can't be unpacked: {error}") from error

    def end(self) -> None:
        """Make sure that all of it came."""
        if self._stream is not None and not self._stream.eof:
            raise ValueError("its compressed body was cut off")


def _drop_images(body: bytearray, start: int) -> int:
    """Empty the images behind `start`; return where to look on when more has come."""
    if body.find(_IMAGE_BEGINS, start) >= 0:
        body[start:] = _IMAGE.sub(_emptied, body[start:])
    return max(start, len(body) - _IMAGE_OVERLAP)


def _emptied(image: re.Match[bytes]) -> bytes:
    """Return an image without its bytes; a quote that is escaped begins none."""
    begin = image.start()
    escaped = begin > 0 and image.string[begin - 1] == ord("\\")
    return image[0] if escaped else image[1]
