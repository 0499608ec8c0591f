"""Receiving responses with bounded memory and without blocking the event loop."""

import asyncio
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from aiohttp import ClientResponse

from reelhook.providers.http.response import TEXT_BYTES, ProviderResponse, read_json

RESPONSE_BYTES_MAX = 4 * 1024 * 1024
"""The size of a job as its provider shows it, decompressed and without images."""
PAGE_BYTES_MAX = 8 * 1024 * 1024
"""The size of a page of a listing that shows prompts. 100 prompts of 32,000 characters take up to
38 MB, escaped as `\\uXXXX\\uXXXX`, and a sixth of that in most languages."""
SENT_BYTES_MAX = 64 * 1024 * 1024
"""The total size of a response, images included."""
_AT_ONCE = ((64 * 1024, 16), (512 * 1024, 1))
"""(bytes, count): at most `count` responses above this size are received at once; others wait."""
UNREAD_BYTES = 32 * 1024
"""The buffer of a connection; aiohttp uses twice that, and one piece more."""
_PIECE_BYTES_MAX = 16 * 1024
_SCAN_BYTES = 256 * 1024
_PARSE_SINGLY_FROM_BYTES = 16 * 1024
_PARSE_IN_THREAD_FROM_BYTES = 64 * 1024
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_PLAIN = frozenset({"", "identity"})
_IMAGE = re.compile(rb'("data:[\w.+/-]{1,100};base64,)[A-Za-z0-9+/=]{1024,}')
"""An image of a request. Some providers repeat it in each response."""
_IMAGE_BEGINS = b'"data:'
_IMAGE_OVERLAP = 1024 + 128
_reader = ThreadPoolExecutor(1, thread_name_prefix="json")
"""One thread only: parsing holds the interpreter lock, and the event loop runs in between."""


class ResponseMemory:
    """Bounds the memory that the responses of one account take at once.

    `images`: the responses may repeat the images of requests.
    """

    def __init__(self, *, images: bool = False) -> None:
        self._sent_max = SENT_BYTES_MAX if images else None
        self._steps = [(size, asyncio.Semaphore(count)) for size, count in _AT_ONCE]
        self._reading = asyncio.Semaphore(1)

    async def receive(
        self, response: ClientResponse, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Read a response to its end. Raises `CONNECTION_ERRORS`.

        Its request must have been made without automatic decompression. The body is None if it is
        longer than `bytes_max`, decompressed and without images.
        """
        async with AsyncExitStack() as stack:
            body = await self._body(response, bytes_max, stack)
            return await self._parsed(response, body)

    async def _body(
        self, response: ClientResponse, bytes_max: int, stack: AsyncExitStack
    ) -> bytearray | None:
        sent_max = self._sent_max or bytes_max
        if (response.content_length or 0) > sent_max:
            response.close()
            return None
        decompressor = _Decompressor(response.headers.get("Content-Encoding", ""))
        steps = list(self._steps)
        await _wait_for_memory(steps, response.content_length or 0, stack)
        body, received, seen = bytearray(), 0, 0
        while chunk := await response.content.readany():
            for piece in decompressor.pieces(chunk):
                received += len(piece)
                body += piece
                await _wait_for_memory(steps, len(body), stack)
                if len(body) - seen > _SCAN_BYTES:
                    seen = _drop_images(body, seen) if self._sent_max else len(body)
                    if len(body) > bytes_max or received > sent_max:
                        response.close()
                        return None
                    await asyncio.sleep(0)
        decompressor.end()
        if self._sent_max and len(body) > _SCAN_BYTES:
            _drop_images(body, seen)
        return None if len(body) > bytes_max else body

    async def _parsed(self, response: ClientResponse, body: bytearray | None) -> ProviderResponse:
        """Parse the JSON of all but small responses, one at a time; large ones in a thread."""
        status, headers = response.status, response.headers
        if body is None or len(body) < _PARSE_SINGLY_FROM_BYTES:
            return ProviderResponse(status, headers, None if body is None else bytes(body))
        async with self._reading:
            if len(body) < _PARSE_IN_THREAD_FROM_BYTES:
                content = read_json(body)
                await asyncio.sleep(0)
            else:
                loop = asyncio.get_running_loop()
                content = await loop.run_in_executor(_reader, read_json, body)
        # Only the beginning of the body is still needed.
        return ProviderResponse(status, headers, bytes(body[:TEXT_BYTES]), (content,))


async def _wait_for_memory(
    steps: list[tuple[int, asyncio.Semaphore]], size: int, stack: AsyncExitStack
) -> None:
    """Take the steps for a response of this size, smallest first, so that none deadlocks."""
    while steps and size > steps[0][0]:
        await stack.enter_async_context(steps.pop(0)[1])


class _Decompressor:
    """Decompresses a body as it arrives. Raises ValueError for invalid data."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._stream: zlib._Decompress | None = None
        if self._encoding not in _PLAIN | _ENCODINGS:
            raise ValueError(
                f"it has the Content-Encoding {encoding[:50]!r}, which was not requested"
            )

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decompressed chunk, in pieces of bounded length."""
        if self._encoding in _PLAIN:
            yield chunk
            return
        if self._stream is None:
            # Some servers send "deflate" without the header of zlib.
            bare = self._encoding == "deflate" and chunk[0] & 0x0F != 8
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        try:
            full = True  # after a full piece, more may be decompressed already
            while (chunk or full) and not self._stream.eof:
                piece = self._stream.decompress(chunk, _PIECE_BYTES_MAX)
                chunk, full = self._stream.unconsumed_tail, len(piece) == _PIECE_BYTES_MAX
                yield piece
        except zlib.error as error:
            raise ValueError(f"its body can't be decompressed: {error}") from error

    def end(self) -> None:
        """Raise ValueError if the body is incomplete."""
        if self._stream is not None and not self._stream.eof:
            raise ValueError("its compressed body was cut off")


def _drop_images(body: bytearray, start: int) -> int:
    """Empty the images after `start`; return the position to continue at with more data."""
    if body.find(_IMAGE_BEGINS, start) >= 0:
        body[start:] = _IMAGE.sub(_emptied, body[start:])
    return max(start, len(body) - _IMAGE_OVERLAP)


def _emptied(image: re.Match[bytes]) -> bytes:
    """Return an image without its bytes; an escaped quote begins no image."""
    begin = image.start()
    escaped = begin > 0 and image.string[begin - 1] == ord("\\")
    return image[0] if escaped else image[1]
