"""Providers whose finished files have addresses that expire."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import ClassVar

from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import Failed, Finished, Missing, Reading, Report
from reelhook.ports import Content
from reelhook.providers.http.provider import HttpProvider


class ExpiringProvider(HttpProvider):
    """A provider whose job is read again, once, for a fresh address when the known one fails."""

    file_seconds: ClassVar[float | None] = None
    """The documented time for which a finished file can be fetched, if no response reports it."""

    def with_expiry(self, report: Report, seconds: float | None = None) -> Report:
        """Return a report with the time until which its file can be fetched, if that is known.

        It counts from now: the report has just been read. `seconds` are those of this file, by
        default `file_seconds`.
        """
        seconds = self.file_seconds if seconds is None else seconds
        if seconds is None or not isinstance(report, Finished) or report.expires_at is not None:
            return report
        return replace(report, expires_at=int(self.now() + seconds))

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job."""
        raise NotImplementedError

    @asynccontextmanager
    async def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AsyncIterator[Content]:
        """Open the finished file. Raises `ContentMissingError` or `ProviderError`."""
        async with AsyncExitStack() as stack:
            try:
                content = await stack.enter_async_context(
                    super().content(provider_job_id, url, byte_range)
                )
            except (ContentMissingError, ProviderError):
                fresh = await self._fresh_url(provider_job_id, url)
                if fresh is None:
                    raise
                content = await stack.enter_async_context(
                    super().content(provider_job_id, fresh, byte_range)
                )
            yield content

    async def _fresh_url(self, provider_job_id: str, url: str) -> str | None:
        """Return another address of the file; None if the failure may be temporary."""
        match (await self.get(provider_job_id)).report:
            case Finished(url=fresh) if fresh != url:
                return fresh
            case Finished(expires_at=int() as expires_at) if expires_at <= self.now():
                raise ContentMissingError(f"{self.title} no longer has the finished video.")
            case Failed() | Missing():
                raise ContentMissingError(f"{self.title} no longer has the finished video.")
            case _:
                return None
