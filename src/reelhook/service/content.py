"""The use case for a finished video: open its file."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import ContentNotReadyError
from reelhook.domain.job import Status
from reelhook.ports import Content, Provider, StoredJob
from reelhook.service.providers import provider_of


class ContentStore(Protocol):
    """The part of the store that opening a file needs."""

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...


class Contents:
    """The finished files, at their providers."""

    def __init__(self, store: ContentStore, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers

    async def open(
        self, caller: Caller, job_id: str, byte_range: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentNotReadyError` if there is none yet."""
        caller.require(Scope.READ)
        job = (await self._store.job(job_id, caller.sees)).job
        if job.status is not Status.COMPLETED or not job.provider_job_id:
            raise ContentNotReadyError(job.status.value)
        provider = provider_of(self._providers, job)
        return provider.content(job.provider_job_id, job.content_url or "", byte_range)
