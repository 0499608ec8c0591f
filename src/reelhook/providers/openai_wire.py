"""The OpenAI wire: `/v1/videos`, as many servers and gateways speak it.

Paths and fields as in openai-python 3.54 (`resources/videos.py`).
"""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Self
from urllib.parse import quote

from aiohttp import ClientSession
from yarl import URL

from reelhook.domain.errors import CursorRefusedError, ListingUnsupportedError, ProviderError
from reelhook.domain.job import VideoRequest
from reelhook.domain.report import Missing, Page, Reading, Report, SubmitOutcome
from reelhook.ports import Content
from reelhook.providers import reads
from reelhook.providers.address import base_url, bearer
from reelhook.providers.answer import Answer
from reelhook.providers.download import Source, download, exact_url
from reelhook.providers.openai_create import Create
from reelhook.providers.openai_video import failure, page, readable_id, report
from reelhook.providers.refusal import unread, words
from reelhook.providers.waiting import poll_after_seconds

_DEFAULT_PATH = "/v1"
_NO_LISTING = frozenset({403, 405, 501})
_NO_LISTING_FROM_THE_START = frozenset({400, 404, 422})
_CANNOT_CANCEL = frozenset({400, 404, 405, 409, 422, 501})
_NOT_THE_JOBS_OWN = frozenset({401, 403, 404, 429})
"""Statuses of a read that speak of the key, the id or the rate, whatever the body says."""


class OpenAIWire:
    """One account at a server that speaks `/v1/videos`.

    Made within a running loop; used with `async with`, or closed with `close`. `base_url` may
    leave `/v1` out. `session` is used for reads and downloads and stays open; without one the
    adapter has its own. `now` tells Unix seconds. Raises `SettingsError` for a URL or a key that
    can't be used.
    """

    name = "openai"
    page_size_max = 100

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        submit_timeout_seconds: float = 45.0,
        session: ClientSession | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._base = _base(base_url)
        self._key = bearer(api_key)
        self._now = now
        self._create = Create(
            self._url("videos"),
            self._key,
            timeout_seconds=submit_timeout_seconds,
            content_url=self._content_url,
            now=now,
        )
        self._http = session or reads.session()
        self._owns_http = session is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what the adapter owns. A submit under way ends in doubt."""
        await self._create.close()
        if self._owns_http:
            await self._http.close()

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self, request: VideoRequest, may_send: Callable[[], bool] = lambda: True
    ) -> SubmitOutcome:
        """Create a video, exactly once; see `Create.submit`."""
        return await self._create.submit(request, may_send)

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job. The id in the answer is not looked at: LiteLLM's is another one."""
        answer = await self._ask("GET", self._video(provider_job_id))
        if answer.status == 404:
            return Reading(Missing())
        told = self._told(answer, provider_job_id)
        return Reading(told, poll_after_seconds(answer.headers))

    def _told(self, answer: Answer, provider_job_id: str) -> Report:
        video = answer.fields()
        if answer.ok:
            if told := report(video, lambda: self._content_url(provider_job_id)):
                return told
            raise ProviderError("The provider's answer is not a video with a status")
        may_be_the_jobs_own = answer.status >= 400 and answer.status not in _NOT_THE_JOBS_OWN
        if may_be_the_jobs_own and (told := failure(video)):
            return told
        raise unread(answer, self._now())

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first, behind `after`; `limit` is 1..100.

        An unknown cursor is refused by some servers; SGLang and vLLM-Omni answer an empty page.
        """
        limit = min(max(limit, 1), self.page_size_max)
        cursor = "" if after is None else f"&after={_quoted(after)}"
        url = self._url(f"videos?limit={limit}&order=desc{cursor}")
        answer = await self._ask("GET", url)
        if not answer.ok:
            raise self._unlisted(answer, after)
        listing = page(answer.fields(), limit, self._content_url)
        if listing is None:
            raise ProviderError("The provider's answer is not a list of videos")
        return listing

    def _unlisted(self, answer: Answer, after: str | None) -> ProviderError:
        if answer.status in _NO_LISTING:
            return ListingUnsupportedError(words(answer))
        if answer.status in _NO_LISTING_FROM_THE_START:
            kind = ListingUnsupportedError if after is None else CursorRefusedError
            return kind(words(answer))
        return unread(answer, self._now())

    async def cancel(self, provider_job_id: str) -> bool:
        """Delete the job; False where the server does not, or no longer, do that."""
        answer = await self._ask("DELETE", self._video(provider_job_id))
        if answer.status in _CANNOT_CANCEL:
            return False
        if not answer.ok:
            raise unread(answer, self._now())
        return True

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file; `url` is the one that its job was finished with."""
        return download(self._http, self._sources(provider_job_id, url), byte_range)

    def _sources(self, provider_job_id: str, url: str) -> list[Source]:
        """Return the ways to the file; what lies elsewhere never sees the key."""
        own = Source(self._url(f"videos/{_quoted(provider_job_id)}/content"), self._key)
        try:
            told = exact_url(url)
            if told == own.url:
                return [own]
            if told.origin() == self._base.origin():
                return [own, Source(told, self._key)]
            return [Source(told, {}), own]
        except ValueError:
            return [own]

    async def _ask(self, method: str, url: URL) -> Answer:
        return await reads.ask(self._http, method, url, self._key)

    def _video(self, provider_job_id: str) -> URL:
        if readable_id(provider_job_id) is None:
            raise ProviderError(f"{provider_job_id!r} can't be a video's id")
        return self._url(f"videos/{_quoted(provider_job_id)}")

    def _content_url(self, provider_job_id: str) -> str:
        return f"{self._base}/videos/{_quoted(provider_job_id)}/content"

    def _url(self, rest: str) -> URL:
        return URL(f"{self._base}/{rest}", encoded=True)


def _base(text: str) -> URL:
    return base_url(text, default_path=_DEFAULT_PATH)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
