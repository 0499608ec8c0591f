"""A provider that refuses every request once the lease on its account is no longer good.

A worker that was frozen in the middle of a round, and wakes after another has taken over, then
stops there.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from reelhook.domain.errors import ProviderError
from reelhook.domain.job import VideoRequest
from reelhook.domain.report import Notice, Page, Reading, SubmitOutcome
from reelhook.ports import Content, Provider, ServedModels


class LeasedProvider:
    """Implements `ports.Provider`. `held` returns True while the lease is good."""

    def __init__(self, provider: Provider, held: Callable[[], bool]) -> None:
        self._provider = provider
        self._held = held
        self.name = provider.name
        self.server = provider.server
        self.fingerprint = provider.fingerprint
        self.traits = provider.traits
        self.models = provider.models

    def _check(self) -> None:
        if not self._held():
            raise ProviderError(
                "The lease on the account was lost: another worker has it now", unreachable=True
            )

    @property
    def jobs_at_once(self) -> int | None:
        """See `Provider.jobs_at_once`."""
        return self._provider.jobs_at_once

    @property
    def learnt(self) -> str:
        """See `Provider.learnt`."""
        return self._provider.learnt

    @learnt.setter
    def learnt(self, text: str) -> None:
        self._provider.learnt = text

    async def get_ready(self) -> None:
        """See `Provider.get_ready`, which costs nothing."""
        await self._provider.get_ready()

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """See `Provider.prepared`."""
        return self._provider.prepared(request, job_id)

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """See `Provider.submit`, which asks `may_send` by itself."""
        return await self._provider.submit(request, may_send, callback_url)

    async def get(self, provider_job_id: str) -> Reading:
        """See `Provider.get`."""
        self._check()
        return await self._provider.get(provider_job_id)

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """See `Provider.get_many`."""
        self._check()
        return await self._provider.get_many(provider_job_ids)

    async def page(self, after: str | None, limit: int) -> Page:
        """See `Provider.page`."""
        self._check()
        return await self._provider.page(after, limit)

    async def cancel(self, provider_job_id: str) -> bool:
        """See `Provider.cancel`."""
        self._check()
        return await self._provider.cancel(provider_job_id)

    async def forgets_when_restarted(self) -> bool:
        """See `Provider.forgets_when_restarted`."""
        self._check()
        return await self._provider.forgets_when_restarted()

    async def cancel_stops(self) -> bool | None:
        """See `Provider.cancel_stops`."""
        self._check()
        return await self._provider.cancel_stops()

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """See `Provider.content`."""
        return self._provider.content(provider_job_id, url, byte_range)

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """See `Provider.notice`."""
        return await self._provider.notice(headers, body)

    def ahead(self, provider_job_id: str) -> int | None:
        """See `Provider.ahead`."""
        return self._provider.ahead(provider_job_id)

    def id_of(self, called: str, model: str) -> str:
        """See `Provider.id_of`."""
        return self._provider.id_of(called, model)

    async def served(self) -> ServedModels | None:
        """See `Provider.served`."""
        return await self._provider.served()

    async def check(self) -> str:
        """See `Provider.check`."""
        return await self._provider.check()
