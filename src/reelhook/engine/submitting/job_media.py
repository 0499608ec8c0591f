"""Videos of completed jobs as files of new requests: the whole video, or its last frame."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from reelhook.core.offload import run_on_disk
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.archive_errors import (
    FramesTimeoutError,
    FramesUnavailableError,
    ObjectMissingError,
    ObjectStoreError,
)
from reelhook.domain.errors import (
    ContentMissingError,
    FileAddressRefusedError,
    JobNotFoundError,
    ProviderError,
)
from reelhook.domain.job import Job
from reelhook.domain.media import BYTES_MAX, File, content_type_of
from reelhook.domain.media_errors import OUR_ERRORS, MediaUnavailableError
from reelhook.engine.archive.disks import check_room
from reelhook.engine.archive.local_copy import local_copy, temporary_file, write_all
from reelhook.ports import ArchivedFileReads, Content, FileReads, Frames, Objects, StoredJob

log = structlog.get_logger()
SOURCE_BYTES_MAX = 2 * 1024**3
"""The largest video whose last frame is used. It is on the disk while the frame is decoded."""
DOWNLOAD_SECONDS_MAX = 600.0


class JobMediaStore(ArchivedFileReads, Protocol):
    """The part of the store that finding a job's video needs."""

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...


@dataclass(frozen=True, slots=True)
class FileOnDisk:
    """A file that is read only when it is needed. Implements `FetchedFile`."""

    path: Path
    size: int

    async def read(self) -> File:
        """Return the file, with the type that its bytes show."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> File:
        body = self.path.read_bytes()
        return File(content_type_of(body) or "", body)


@dataclass(frozen=True)
class JobMedia:
    """Implements `JobMediaFetch`. `objects` None: there is no archive.

    A video that is not in the archive is read from its provider. `folder` holds files meanwhile.
    """

    store: JobMediaStore
    providers: Mapping[str, FileReads]
    objects: Objects | None
    frames: Frames
    folder: Path

    @asynccontextmanager
    async def fetch(self, project: str, job_id: str, kind: str) -> AsyncIterator[FileOnDisk]:
        """Fetch the video of a job, or its last frame; see `JobMediaFetch.fetch`."""
        async with AsyncExitStack() as stack:
            yield await self._file(stack, project, job_id, kind)

    async def _file(
        self, stack: AsyncExitStack, project: str, job_id: str, kind: str
    ) -> FileOnDisk:
        bytes_max = BYTES_MAX["video"] if kind == "video" else SOURCE_BYTES_MAX
        what = f"The video of {job_id}" if kind == "video" else f"The last frame of {job_id}"
        try:
            job = (await self.store.job(job_id, project)).job
            path = await self._video(stack, job, bytes_max)
            if kind != "video":
                path = await self._last_frame(stack, path)
            size = (await asyncio.to_thread(path.stat)).st_size
        except JobNotFoundError:
            raise MediaUnavailableError(f"{what} can't be used: the job was deleted") from None
        except _UnusableError as error:
            message = f"{what} can't be used: {error.reason}"
            raise MediaUnavailableError(message, passing=error.passing) from None
        except OSError as error:  # the archive may have removed its file just now
            message = f"{what} can't be read ({error.strerror or type(error).__name__})"
            ours = error.errno in OUR_ERRORS
            raise MediaUnavailableError(message, passing=True, ours=ours) from None
        return FileOnDisk(path, size)

    async def _video(self, stack: AsyncExitStack, job: Job, bytes_max: int) -> Path:
        file = await self.store.archived_file(job.id)
        lost = None if file is None else _lost(file)
        if lost is not None:
            raise _UnusableError(lost)
        if not job.has_video:
            raise _UnusableError(f"the job is {job.status.value}")
        if file is None or file.state is not FileState.STORED or self.objects is None:
            return await self._from_provider(stack, job, bytes_max)
        if (file.size or 0) > bytes_max:
            raise _too_large(bytes_max)
        try:
            copy = local_copy(self.objects, file.key or "", self.folder)
            return await stack.enter_async_context(copy)
        except ObjectStoreError as error:
            log.warning("archive.file_unreadable", job=job.id, object=file.key, error=error.message)
            try:
                return await self._from_provider(stack, job, bytes_max)
            except _UnusableError:
                passing = not isinstance(error, ObjectMissingError)
                raise _UnusableError("the archive can't read it", passing=passing) from error

    async def _from_provider(self, stack: AsyncExitStack, job: Job, bytes_max: int) -> Path:
        provider = self.providers.get(job.account)
        if provider is None:
            raise _UnusableError(
                f"it was not archived, and the account {job.account} is no longer configured"
            )
        path = await stack.enter_async_context(temporary_file(self.folder))
        opened = provider.content(job.provider_job_id or "", job.content_url or "", None)
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS_MAX), opened as content:
                await _download(content, path, bytes_max)
        except ContentMissingError:
            raise _UnusableError(
                "its provider no longer has it, and it was not archived; keep videos with an "
                "archive, or upload the file"
            ) from None
        except FileAddressRefusedError as error:
            raise _UnusableError(error.message) from None
        except (ProviderError, TimeoutError):  # its words may be about the account
            raise _UnusableError(
                "it is not archived, and its provider does not send it", passing=True
            ) from None
        return path

    async def _last_frame(self, stack: AsyncExitStack, video: Path) -> Path:
        try:
            image = await self.frames.last_frame(video)
        except FramesTimeoutError as error:
            raise _UnusableError(error.message) from None
        except FramesUnavailableError as error:
            raise _UnusableError(error.message, passing=True) from None
        if image is None:
            raise _UnusableError("no frame of its file can be decoded")
        path = await stack.enter_async_context(temporary_file(self.folder))
        await asyncio.to_thread(path.write_bytes, image)
        return path


class _UnusableError(Exception):
    """A video can't be used. `passing`: another try may succeed."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


def _lost(file: ArchivedFile) -> str | None:
    if file.state is FileState.REMOVED:
        return f"it was removed from the archive ({file.error or 'its age, or a full archive'})"
    return "its provider deleted it before it was archived" if file.gone else None


def _too_large(bytes_max: int) -> _UnusableError:
    return _UnusableError(f"it has more than {bytes_max // 1024**2} MiB")


async def _download(content: Content, path: Path, bytes_max: int) -> None:
    """Write a file that is sent; raise `_UnusableError` if it is too large or not whole."""
    if content.status != 200:
        raise _UnusableError(f"its provider sent HTTP {content.status}", passing=True)
    announced = content.headers.get("Content-Length") or content.headers.get("content-length")
    if announced is not None and int(announced) > bytes_max:
        raise _too_large(bytes_max)
    await run_on_disk(partial(check_room, path.parent, int(announced or 0)))
    size = await write_all(path, _bounded(content.chunks, bytes_max))
    if announced is not None and size != int(announced):
        raise _UnusableError("its download broke off", passing=True)


async def _bounded(chunks: AsyncIterator[bytes], bytes_max: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        yield chunk
