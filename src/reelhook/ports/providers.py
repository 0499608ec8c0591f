"""Time, and what reelhook asks of a provider."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.domain.job import VideoRequest
from reelhook.domain.report import Page, Reading, SubmitOutcome


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> Instant:
        """Return the wall clock, in milliseconds since the epoch."""
        ...

    async def wait(self, signal: asyncio.Event, seconds: float | None) -> None:
        """Return when the signal is set, or after `seconds` (None: only when set)."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A finished file, as it streams. `status` is 200, 206 or 416 (no such range)."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Provider(Protocol):
    """One credential at one provider, and how to talk to it.

    Reads raise `ProviderError` when nothing could be learnt; they never invent an answer.
    """

    name: str
    page_size_max: int
    """Entries in a listing page; 0 where the provider has no listing at all."""

    async def submit(self, request: VideoRequest, may_send: Callable[[], bool]) -> SubmitOutcome:
        """Call the paid create exactly once, over a fresh connection. Never raises.

        `may_send` is asked once that connection stands, just before the first byte: the right to
        pay may have run out meanwhile.
        """
        ...

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job."""
        ...

    async def page(self, after: str | None, limit: int) -> Page:
        """Read one page of the listing, newest first, behind the entry `after`."""
        ...

    async def cancel(self, provider_job_id: str) -> bool:
        """Stop the render; False where the provider can't."""
        ...

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentMissingError` or `ProviderError`."""
        ...
