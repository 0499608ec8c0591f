"""The files of new requests: taken out of them, found among uploads, or made by earlier jobs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from reelhook.core.request_files import taken_out
from reelhook.domain.archive import FileState
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import JobNotFoundError
from reelhook.domain.media import File
from reelhook.domain.media_errors import (
    JobNotFinishedError,
    UnknownSourceJobError,
    VideoOfJobGoneError,
)
from reelhook.domain.media_limits import check_images, not_carried, not_inline
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import job_in, kind_of, media_of
from reelhook.ports import ArchivedFileReads, Provider, StoredJob
from reelhook.service.uploads import Uploads

REMOVED = "it was removed from the archive"
LOST = "its provider deleted it before it was archived"


class SourceStore(ArchivedFileReads, Protocol):
    """The part of the store that checking the sources of files needs."""

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...


class RequestFiles:
    """The files of new requests. `served`: providers can fetch them from this server."""

    def __init__(
        self,
        store: SourceStore,
        uploads: Uploads,
        providers: Mapping[str, Provider],
        *,
        served: bool,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._providers = providers
        self._served = served

    async def placed(
        self, caller: Caller, request: VideoRequest, routes: Sequence[ModelRoute]
    ) -> tuple[VideoRequest, tuple[File, ...]]:
        """Return the request with references to its files, and the files to be stored with it.

        Addresses and videos of jobs stay in it. Raises `InvalidRequestError` for a file that can't
        be used, or that one of its models does not take.
        """
        caller.require(Scope.SUBMIT)
        await self._check_sources(caller, request)
        request, files = await taken_out(request)
        request, uploaded = await self._uploads.placed(caller, request)
        files += uploaded
        for route in routes:
            self._check_limits(route, request, {file.hash: file for file in files})
        return request, files

    def _check_limits(
        self, route: ModelRoute, request: VideoRequest, files: Mapping[str, File]
    ) -> None:
        """Check the files that are known now. The others are checked before the paid call."""
        images = None if route.limits is None else route.limits.images
        check_images(images, request, files, route.display_name)
        inline_max = self._providers[route.accounts[0].id].traits.inline_bytes_max
        if not self._served and (found := not_inline(request, files, inline_max)):
            field = next(iter(found))
            raise not_carried(field, route.provider, inline_max[kind_of(field)])

    async def _check_sources(self, caller: Caller, request: VideoRequest) -> None:
        """Raise `InvalidRequestError` if a request uses a video that can't be used.

        The video must be of the new job's own project, and archived or still at its provider.
        """
        checked = set[str]()
        for field, text in media_of(request):
            job_id = job_in(text)
            if job_id is not None and job_id not in checked:
                await self._check(caller.project, job_id, field)
                checked.add(job_id)

    async def _check(self, project: str, job_id: str, field: str) -> None:
        try:
            job = (await self._store.job(job_id, project)).job
        except JobNotFoundError:
            raise UnknownSourceJobError(field) from None
        if not job.has_video:
            raise JobNotFinishedError(field, job.status.value, ended=job.status.terminal)
        file = await self._store.archived_file(job_id)
        if file is not None and file.state is FileState.REMOVED:
            raise VideoOfJobGoneError(field, REMOVED)
        if file is not None and file.gone:
            raise VideoOfJobGoneError(field, LOST)
