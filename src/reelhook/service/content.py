"""The use cases for finished files: find a video or its poster, in the archive or elsewhere."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Protocol

from reelhook.domain.archive import ArchivedFile, FileState, PosterState
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import ContentMissingError, ContentNotReadyError
from reelhook.domain.file_errors import (
    ContentRemovedError,
    NeverArchivedError,
    PosterNotFoundError,
    PosterNotReadyError,
)
from reelhook.domain.job import Job
from reelhook.ports import ArchivedFileReads, Content, Objects, Provider, StoredJob
from reelhook.service.finished_file import ArchivedObject, FinishedFile
from reelhook.service.providers import account_errors_hidden, provider_of

POSTER_TYPE = "image/jpeg"


class ContentStore(ArchivedFileReads, Protocol):
    """The part of the store that finding a file needs."""

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...


class Contents:
    """The finished files. `objects` None: this process has no archive.

    With `redirects`, clients may be sent to the archive's own URLs.
    """

    def __init__(
        self,
        store: ContentStore,
        providers: Mapping[str, Provider],
        objects: Objects | None = None,
        *,
        redirects: bool = False,
    ) -> None:
        self._store = store
        self._providers = providers
        self._objects = objects
        self._redirects = redirects

    async def video(self, caller: Caller, job_id: str) -> FinishedFile:
        """Return a job's video.

        Raises `JobNotFoundError`, `ContentNotReadyError` if there is none yet, `NeverArchivedError`
        if its provider has deleted it, or `ContentRemovedError`.
        """
        job, title, file = await self._found(caller, job_id)
        at_provider = partial(self._at_provider, caller, job)
        if file is not None and file.gone:
            raise NeverArchivedError
        if file is not None and file.state is FileState.LOST:
            at_provider = partial(self._given_up, caller, job)
        return FinishedFile(
            job.id, title, _video_object(file), self._objects, at_provider, self._redirects
        )

    async def poster(self, caller: Caller, job_id: str) -> FinishedFile:
        """Return the poster of a job's video.

        Raises as `video`, `PosterNotReadyError` while it is made, or `PosterNotFoundError`.
        """
        job, title, file = await self._found(caller, job_id)
        if self._objects is None or file is None:
            raise PosterNotFoundError("videos are not archived here")
        if file.state is FileState.LOST:
            raise PosterNotFoundError("the video was not archived in time")
        if file.poster_state is PosterState.NONE:
            raise PosterNotFoundError("none could be made of its file")
        poster = _poster_object(file)
        if poster is None:
            raise PosterNotReadyError
        return FinishedFile(job.id, title, poster, self._objects, None, self._redirects)

    async def file(self, caller: Caller, job_id: str) -> ArchivedFile | None:
        """Return what is known of a job's file; None if the job has none, or is not seen."""
        caller.require(Scope.READ)
        return await self._store.archived_file(job_id, caller.sees)

    async def files(self, caller: Caller, jobs: Sequence[Job]) -> dict[str, ArchivedFile]:
        """Return what is known of the files of jobs that the caller has read, by the jobs' ids."""
        caller.require(Scope.READ)
        found = await self._store.archived_files_of([job.id for job in jobs]) if jobs else []
        return {file.job_id: file for file in found}

    @property
    def archiving(self) -> bool:
        """True if this process has an archive."""
        return self._objects is not None

    async def with_poster(self, caller: Caller, jobs: Sequence[Job]) -> frozenset[str]:
        """Return the ids of those jobs that have a poster. The caller has read the jobs."""
        caller.require(Scope.READ)
        finished = [job.id for job in jobs if _has_video(job)]
        if self._objects is None or not finished:
            return frozenset()
        files = await self._store.archived_files_of(finished)
        return frozenset(file.job_id for file in files if _poster_object(file) is not None)

    async def _found(self, caller: Caller, job_id: str) -> tuple[Job, str, ArchivedFile | None]:
        caller.require(Scope.READ)
        stored = await self._store.job(job_id, caller.sees)
        if not _has_video(stored.job):
            raise ContentNotReadyError(stored.job.status.value)
        file = await self._store.archived_file(job_id)
        if file is not None and file.state is FileState.REMOVED:
            raise ContentRemovedError(file.error)
        return stored.job, stored.request.title, file

    @asynccontextmanager
    async def _at_provider(
        self, caller: Caller, job: Job, byte_range: str | None
    ) -> AsyncIterator[Content]:
        provider = provider_of(self._providers, job)
        with account_errors_hidden(caller):
            async with provider.content(
                job.provider_job_id or "", job.content_url or "", byte_range
            ) as content:
                yield content

    @asynccontextmanager
    async def _given_up(
        self, caller: Caller, job: Job, byte_range: str | None
    ) -> AsyncIterator[Content]:
        """Open a file that could not be archived, as long as its provider has it."""
        async with AsyncExitStack() as stack:
            opened = self._at_provider(caller, job, byte_range)
            try:
                content = await stack.enter_async_context(opened)
            except ContentMissingError:
                raise NeverArchivedError from None
            yield content


def _has_video(job: Job) -> bool:
    return job.has_video and bool(job.provider_job_id)


def _video_object(file: ArchivedFile | None) -> ArchivedObject | None:
    if file is None or file.state is not FileState.STORED or file.key is None:
        return None
    return ArchivedObject(file.key, file.size or 0, file.content_type or "", f'"{file.sha256}"')


def _poster_object(file: ArchivedFile) -> ArchivedObject | None:
    if file.state is not FileState.STORED or file.poster_key is None or file.poster_size is None:
        return None
    # The same video always has the same poster.
    tag = f'"{file.sha256}-poster"'
    return ArchivedObject(file.poster_key, file.poster_size, POSTER_TYPE, tag)
