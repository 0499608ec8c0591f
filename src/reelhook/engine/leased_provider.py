"""A provider that refuses every request once the lease on its account is no longer good.

So a worker that freezes during a round, and resumes after another has taken over, stops there.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from reelhook.domain.errors import ProviderError
from reelhook.domain.model import Model
from reelhook.domain.report import Page, Reading, SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.ports import Content, CreatesAndReads


class LeasedProvider:
    """Implements `ports.CreatesAndReads`. `held` returns True while the lease is good."""

    def __init__(self, provider: CreatesAndReads, held: Callable[[], bool]) -> None:
        self._provider = provider
        self._held = held
        self.name = provider.name
        self.server = provider.server
        self.fingerprint = provider.fingerprint
        self.traits = provider.traits

    def _check(self) -> None:
        if not self._held():
            raise ProviderError(
                "The account's lease was lost: another worker has it now", unreachable=True
            )

    @property
    def jobs_at_once(self) -> int | None:
        """See `Creates.jobs_at_once`."""
        return self._provider.jobs_at_once

    @property
    def learnt(self) -> str:
        """See `Creates.learnt`."""
        return self._provider.learnt

    @learnt.setter
    def learnt(self, text: str) -> None:
        self._provider.learnt = text

    def model(self, name: str) -> Model | None:
        """See `Creates.model`."""
        return self._provider.model(name)

    async def get_ready(self) -> None:
        """See `Creates.get_ready`, which costs nothing."""
        await self._provider.get_ready()

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """See `Creates.prepared`."""
        return self._provider.prepared(request, job_id)

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """See `Creates.submit`, which calls `may_send`."""
        return await self._provider.submit(request, may_send, callback_url)

    async def get(self, provider_job_id: str) -> Reading:
        """See `Reads.get`."""
        self._check()
        return await self._provider.get(provider_job_id)

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """See `Reads.get_many`."""
        self._check()
        return await self._provider.get_many(provider_job_ids)

    async def page(self, after: str | None, limit: int) -> Page:
        """See `Reads.page`."""
        self._check()
        return await self._provider.page(after, limit)

    async def forgets_when_restarted(self) -> bool:
        """See `Reads.forgets_when_restarted`."""
        self._check()
        return await self._provider.forgets_when_restarted()

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """See `FileReads.content`."""
        self._check()
        return self._provider.content(provider_job_id, url, byte_range)
