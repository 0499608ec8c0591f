"""A finished file that can be opened: from the archive, or else from its provider."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from reelhook.domain.archive_errors import ObjectMissingError, ObjectStoreError
from reelhook.domain.byte_range import Range
from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.file_errors import ArchivedFileUnavailableError
from reelhook.ports import Content, ObjectBytes, Objects

T = TypeVar("T")
log = structlog.get_logger()
OPEN_SECONDS_MAX = 10.0
"""The time that a store may take to respond. After it the provider's copy is served."""
STORE_URL_SECONDS = 3600.0
"""The time for which a store's own signed URL serves a file: a player keeps it while it plays."""


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """An object of the archive, as its row describes it. `tag` is the HTTP entity tag."""

    key: str
    size: int
    content_type: str
    tag: str

    def content(self, byte_range: Range | None, chunks: AsyncIterator[bytes]) -> Content:
        """Return the object as a server of files would send it."""
        headers = {
            "Content-Type": self.content_type,
            "Accept-Ranges": "bytes",
            "ETag": self.tag,
        }
        bounds = self.bounds(byte_range)
        if bounds is None:
            return Content(416, headers | {"Content-Range": f"bytes */{self.size}"}, chunks)
        first, last = bounds
        headers["Content-Length"] = str(last - first + 1)
        if byte_range is None:
            return Content(200, headers, chunks)
        headers["Content-Range"] = f"bytes {first}-{last}/{self.size}"
        return Content(206, headers, chunks)

    def bounds(self, byte_range: Range | None) -> tuple[int, int] | None:
        """Return the first and the last byte to send; None: the object has no such range."""
        return (0, self.size - 1) if byte_range is None else byte_range.within(self.size)


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A job's video, or its poster. Nothing is opened before it is asked for.

    `archived` None: only the provider has it. `at_provider` opens it there; None: the provider does
    not have it. With `redirects`, clients may be sent to the store itself.
    """

    job_id: str
    title: str
    archived: ArchivedObject | None
    objects: Objects | None = field(repr=False)
    at_provider: Callable[[str | None], AbstractAsyncContextManager[Content]] | None = field(
        repr=False
    )
    redirects: bool = False

    @asynccontextmanager
    async def open(self, byte_range: Range | None = None) -> AsyncIterator[Content]:
        """Open the file, from the archive if that is possible.

        Raises `ContentMissingError`, `ProviderError`, or `ArchivedFileUnavailableError`.
        """
        async with AsyncExitStack() as stack:
            if self.archived is None:
                content = await stack.enter_async_context(self._from_provider(byte_range))
            else:
                try:
                    content = await self._from_archive(stack, self.archived, byte_range)
                except ObjectStoreError as error:
                    self._report(self.archived, error)
                    content = await self._instead(stack, byte_range, error)
            yield content

    def unopened(self, byte_range: Range | None = None) -> Content | None:
        """Return the archived file without its bytes; None if it is not in the archive."""
        return None if self.archived is None else self.archived.content(byte_range, _nothing())

    async def store_url(self, seconds_max: float = STORE_URL_SECONDS) -> str | None:
        """Return a URL at which the store itself serves the file, for so long at most.

        None: the file is to be opened.
        """
        if self.archived is None or self.objects is None or not self.redirects:
            return None
        try:
            seconds = max(1.0, min(seconds_max, STORE_URL_SECONDS))
            url = await self.objects.signed_url(self.archived.key, seconds)
            if url is not None:
                size = await self._in_time(self.objects.size(self.archived.key))
                self._check_size(self.archived, size)
        except ObjectStoreError as error:
            self._report(self.archived, error)
            return None
        return url

    async def _from_archive(
        self, stack: AsyncExitStack, archived: ArchivedObject, byte_range: Range | None
    ) -> Content:
        if self.objects is None:
            raise ObjectStoreError("the archive", "it is off in this process")
        bounds = archived.bounds(byte_range)
        if bounds is None:
            return archived.content(byte_range, _nothing())
        start, end = bounds[0], bounds[1] + 1
        opening = self.objects.open(archived.key, start, end)
        opened = await self._in_time(stack.enter_async_context(opening))
        self._check_size(archived, opened.size)
        return archived.content(
            byte_range, _continued(self.objects, archived.key, opened, start, end)
        )

    async def _in_time(self, asking: Awaitable[T]) -> T:
        """Return the store's response. Raises `ObjectStoreError` if it takes too long."""
        try:
            async with asyncio.timeout(OPEN_SECONDS_MAX):
                return await asking
        except TimeoutError:
            raise ObjectStoreError(self._store_name, "it did not respond in time") from None

    @property
    def _store_name(self) -> str:
        return "" if self.objects is None else self.objects.name

    def _check_size(self, archived: ArchivedObject, size: int | None) -> None:
        if size is None:
            raise ObjectMissingError(self._store_name, f"there is no {archived.key}")
        if size != archived.size:
            reason = f"{archived.key} has {size} bytes in place of {archived.size}"
            raise ObjectMissingError(self._store_name, reason)

    def _from_provider(self, byte_range: Range | None) -> AbstractAsyncContextManager[Content]:
        if self.at_provider is None:
            raise ArchivedFileUnavailableError
        return self.at_provider(None if byte_range is None else str(byte_range))

    async def _instead(
        self, stack: AsyncExitStack, byte_range: Range | None, error: ObjectStoreError
    ) -> Content:
        try:
            return await stack.enter_async_context(self._from_provider(byte_range))
        except (ContentMissingError, ProviderError):
            raise ArchivedFileUnavailableError from error

    def _report(self, archived: ArchivedObject, error: ObjectStoreError) -> None:
        log.warning(
            "archive.file_unreadable", job=self.job_id, object=archived.key, error=error.message
        )


async def _continued(
    objects: Objects, key: str, opened: ObjectBytes, position: int, end: int
) -> AsyncIterator[bytes]:
    """Yield the bytes up to `end`. A read that breaks off is continued where it stopped.

    Libraries of stores limit the time of a whole read, which a slow client may exceed. Raises
    `ObjectStoreError` if a read brings nothing.
    """
    chunks = opened.chunks
    async with AsyncExitStack() as stack:
        while True:
            begun = position
            try:
                async for chunk in chunks:
                    position += len(chunk)
                    yield chunk
            except ObjectStoreError:
                if position == begun:
                    raise
            else:
                return
            reopened = await stack.enter_async_context(objects.open(key, position, end))
            chunks = reopened.chunks


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk
