"""Fetching: streams a finished file from its provider into the spool.

A download that broke off goes on where it stopped, if the source shows that its file is still the
same (RFC 9110, section 14). A file is whole only if its size is the one that was announced.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from reelhook.domain.errors import ProviderError
from reelhook.engine.archive.media_type import is_video
from reelhook.engine.archive.partial_file import Origin, PartialFile, WholeFile
from reelhook.engine.archive.spool import Spool
from reelhook.ports import Content

FILE_BYTES_MAX = 20 * 1024**3
"""The largest file that is fetched. An endless one ends here, or where the disk is full."""
BATCH_BYTES = 1024 * 1024
"""The bytes that one thread hashes and writes at once, in about 2 ms."""
FETCH_SECONDS_MAX = 3600.0
"""A download that takes longer is broken off, so that it frees its place, and goes on later."""
STRANGE_TIMES = 3
"""A file that does not begin like a video may be an error page, while the provider still has the
video. So it is stored only if this many earlier downloads were equal to it."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

OpenFile = Callable[[str | None], AbstractAsyncContextManager[Content]]
"""Opens the file at its provider, from a `Range` on."""


class Fetch:
    """One download. `check` is called now and then with the size so far; it may raise."""

    def __init__(
        self,
        spool: Spool,
        file: PartialFile,
        open_file: OpenFile,
        check: Callable[[int, int | None], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._file = file
        self._open = open_file
        self._check = check

    async def whole(self) -> WholeFile:
        """Return the complete file. Raises `ContentMissingError` or `ProviderError`."""
        whole = await self._spool.run(self._file.whole)
        if whole is not None:
            return whole
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                return await self._fetched()
        except TimeoutError:
            raise ProviderError(
                f"The download was broken off after {FETCH_SECONDS_MAX:g} s"
            ) from None

    async def _fetched(self) -> WholeFile:
        position = await self._spool.run(self._file.resume)
        if position and position == self._file.origin.total:
            return await self._finished(ends_by_closing=False)
        if position:
            async with self._open(f"bytes={position}-") as content:
                if content.status == 200:  # the source ignores Range
                    return await self._all_of(content)
                if content.status == 206 and _continues(content, position, self._file.origin):
                    await self._copy(content)
                    return await self._finished(ends_by_closing=False)
        async with self._open(None) as content:
            return await self._all_of(content)

    async def _all_of(self, content: Content) -> WholeFile:
        if content.status != 200:
            raise ProviderError(f"The provider sent HTTP {content.status} instead of the file")
        origin = _origin(content)
        if origin.total is not None and origin.total > FILE_BYTES_MAX:
            raise ProviderError(_too_large(origin.total))
        await self._check(0, origin.total)
        await self._spool.run(partial(self._file.begin, origin))
        await self._copy(content)
        return await self._finished(ends_by_closing=content.ends_by_closing)

    async def _copy(self, content: Content) -> None:
        batch: list[bytes] = []
        held = 0
        async for chunk in content.chunks:
            batch.append(chunk)
            held += len(chunk)
            if held >= BATCH_BYTES:
                await self._write(batch)
                batch, held = [], 0
        await self._write(batch)

    async def _write(self, batch: list[bytes]) -> None:
        await self._spool.run(partial(self._file.write, batch))
        if self._file.size > FILE_BYTES_MAX:
            raise ProviderError(_too_large(self._file.size))
        await self._check(self._file.size, self._file.origin.total)

    async def _finished(self, *, ends_by_closing: bool) -> WholeFile:
        size, total = self._file.size, self._file.origin.total
        if total is not None and size != total:
            raise ProviderError(f"The download broke off: {size} of {total} bytes came")
        if not size:
            raise ProviderError("The file is empty")
        if not await self._spool.run(partial(is_video, self._file.path)):
            await self._compare(STRANGE_TIMES, "The file does not begin like a video")
        elif ends_by_closing:
            await self._compare(1, "The source does not say how large the file is")
        return await self._spool.run(self._file.finish)

    async def _compare(self, times: int, doubt: str) -> None:
        """Raise `ProviderError` unless so many earlier downloads had the same bytes."""
        if not await self._spool.run(partial(self._file.seen_before, times)):
            raise ProviderError(f"{doubt}; it is fetched again, to compare")


def _origin(content: Content) -> Origin:
    headers = content.headers
    length = headers.get("content-length", "")
    return Origin(
        int(length) if length.isdecimal() else None,
        headers.get("etag"),
        headers.get("last-modified"),
        headers.get("content-type"),
    )


def _continues(content: Content, position: int, origin: Origin) -> bool:
    """Return True if a partial response goes on where the download stopped, in the same file."""
    found = _CONTENT_RANGE.fullmatch(content.headers.get("content-range", ""))
    return (
        found is not None
        and (int(found[1]), int(found[2])) == (position, origin.total)
        and content.headers.get("etag") == origin.etag
        and content.headers.get("last-modified") == origin.last_modified
    )


def _too_large(size: int) -> str:
    return f"The file has {size} bytes or more; at most {FILE_BYTES_MAX} are fetched"
