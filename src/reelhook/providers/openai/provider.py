"""The OpenAI wire: `/v1/videos`, as many servers and gateways speak it.

Paths and fields as in openai-python 3.54 (`resources/videos.py`), its webhooks as in
`types/webhooks/`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cached_property, partial

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import (
    CursorRefusedError,
    ListingUnsupportedError,
    ProviderError,
    ResponseTooLargeError,
    WebhookVerificationError,
)
from reelhook.domain.model_mark import marked, unmarked
from reelhook.domain.report import Finished, Missing, Notice, Page, Reading, Report, SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities, Content, ServedModels
from reelhook.providers.http import reads
from reelhook.providers.http.address import segment
from reelhook.providers.http.advice import Advice
from reelhook.providers.http.download import Source
from reelhook.providers.http.error_mapping import not_understood, unread, words
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.receiving import PAGE_BYTES_MAX
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import poll_after_seconds
from reelhook.providers.http.standard_webhook import signed_body
from reelhook.providers.openai.check import Check, advice_on
from reelhook.providers.openai.content import content_or_missing
from reelhook.providers.openai.create import Create
from reelhook.providers.openai.enclosed import enclosed
from reelhook.providers.openai.probe import Probed, probe
from reelhook.providers.openai.server import OpenAIServer
from reelhook.providers.openai.server_kind import ModelName, ServerKind
from reelhook.providers.openai.video import failure, page, report

FEW = 10
"""How many entries are asked for where a page is too long: 4 MB at most, with any prompts."""
_NO_LISTING = frozenset({403, 405, 501})
_NO_LISTING_FROM_THE_START = frozenset({400, 404, 422})
_NOT_THE_JOBS_OWN = frozenset({401, 403, 429})
"""Statuses of a read that speak of the key or the rate, whatever the body says."""


class OpenAI(HttpProvider):
    """One account at a server that speaks `/v1/videos`. `base_url` may leave `/v1` out."""

    name = "openai"
    default_path = "/v1"
    traits = Capabilities(page_size_max=100)

    @cached_property
    def _create(self) -> Create:
        return Create(
            self.url("videos"),
            self.headers,
            self.paid,
            self._server,
            timeout_seconds=self.submit_timeout_seconds,
            content_url=self._content_url,
            now=self.now,
        )

    @cached_property
    def _server(self) -> OpenAIServer:
        return OpenAIServer(partial(self.ask, "GET"))

    # -- submitting ---------------------------------------------------------------------------

    async def get_ready(self) -> None:
        """Find out what kind of server it is; see `OpenAIServer.find_out`."""
        await self._server.find_out()

    @property
    def jobs_at_once(self) -> int | None:
        """1 for a server that is known to have no queue."""
        return self._server.facts.jobs_at_once

    @property
    def learnt(self) -> str:
        """See `OpenAIServer.learnt`."""
        return self._server.learnt

    @learnt.setter
    def learnt(self, text: str) -> None:
        self._server.learnt = text

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Name the only model there is where none was named, and mark the name where it helps."""
        models = self._server.models
        model = request.model or (models[0] if len(models) == 1 else "")
        if model and self._server.shows_marks and unmarked(model)[1] is None:
            model = marked(model, job_id)
        return request if model == request.model else replace(request, model=model)

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a video, exactly once; see `Create.submit`. No address goes along."""
        return await self._create.submit(request, may_send)

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job. The id in the answer is not looked at: LiteLLM's is another one."""
        answer = await self.ask("GET", _video(provider_job_id))
        told = self._told(answer, provider_job_id)
        return Reading(told, poll_after_seconds(answer.headers))

    def _told(self, answer: ProviderResponse, provider_job_id: str) -> Report:
        video = answer.fields()
        if answer.ok:
            if told := report(video, lambda: self._content_url(provider_job_id)):
                return told
            raise not_understood(answer, "a video with a status")
        if answer.status in _NOT_THE_JOBS_OWN:
            raise unread(answer, self.now())
        if answer.status >= 400 and (told := failure(enclosed(video))):
            return told
        if answer.status == 404:
            return Missing(own=answer.is_object())
        raise unread(answer, self.now())

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first, behind `after`; `limit` is 1..100.

        An unknown cursor is refused by some servers; SGLang and vLLM-Omni answer an empty page.
        """
        limit = min(max(limit, 1), self.traits.page_size_max)
        try:
            return await self._page(after, limit)
        except ResponseTooLargeError:
            if limit <= FEW:
                raise
            return await self._page(after, FEW)

    async def _page(self, after: str | None, limit: int) -> Page:
        cursor = "" if after is None else f"&after={segment(after)}"
        path = f"videos?limit={limit}&order=desc{cursor}"
        answer = await self.ask("GET", path, bytes_max=PAGE_BYTES_MAX)
        if not answer.ok:
            raise self._unlisted(answer, after)
        fields = answer.fields()
        lines = fields.get("data")
        count = len(lines) if isinstance(lines, list) else 0
        listing = await run_in_thread_if_large(
            count, partial(page, fields, limit, self._content_url)
        )
        if listing is None:
            raise not_understood(answer, "a list of videos")
        return listing

    def _unlisted(self, answer: ProviderResponse, after: str | None) -> ProviderError:
        if answer.status in _NO_LISTING:
            return ListingUnsupportedError(words(answer))
        if answer.status in _NO_LISTING_FROM_THE_START:
            kind = ListingUnsupportedError if after is None else CursorRefusedError
            return kind(words(answer))
        return unread(answer, self.now())

    async def cancel(self, provider_job_id: str) -> bool:
        """Delete the job; False where the server does not, or no longer, do that.

        The same request would delete one that has completed, with its video, and it is paid for: so
        the job is looked at first.
        """
        if isinstance((await self.get(provider_job_id)).report, Finished):
            return False
        return await self.canceled("DELETE", _video(provider_job_id))

    async def forgets_when_restarted(self) -> bool:
        """Whether it is of a kind that is known to keep its jobs in memory."""
        return (await self.probed()).facts.memory_only is True

    async def cancel_stops(self) -> bool | None:
        """Whether a DELETE ends the render at this kind of server."""
        return (await self.probed()).facts.delete_stops

    async def probed(self) -> Probed:
        """Ask the server what it is."""
        return await probe(partial(self.ask, "GET"))

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file; `url` is the one that its job was finished with."""
        opening = self.file(self._sources(provider_job_id, url), byte_range)
        return content_or_missing(opening, partial(self.get, provider_job_id))

    def _sources(self, provider_job_id: str, url: str) -> list[Source]:
        """Return the ways to the file; what lies elsewhere never sees the key."""
        own = Source(self.url(f"videos/{segment(provider_job_id)}/content"), self.headers)
        if url in {"", str(own.url)}:
            return [own]
        return [own, Source(url, self.headers)] if self.files.is_own(url) else [Source(url), own]

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook, which is registered at the provider for a whole account.

        `{type: "video.completed", data: {id}}`, signed with the account's `webhook_secret`.
        Raises `WebhookVerificationError`.
        """
        if self.webhook_secret is None:
            raise WebhookVerificationError(
                "The account has no webhook_secret (OPENAI_WEBHOOK_SECRET), "
                "so nothing shows that its provider calls"
            )
        event = signed_body(
            headers,
            body,
            secret=self.webhook_secret,
            whose="The account's webhook",
            now_seconds=self.now(),
        )
        data = event.get("data")
        video_id = readable_id(data.get("id")) if isinstance(data, dict) else None
        if video_id is None:
            raise WebhookVerificationError("The webhook's body is not an event about a video")
        return Notice(video_id)

    async def check(self) -> str:
        """Ask for one job, one that there can't be, and the models; see `Check.run`."""
        ask = partial(self.ask, "GET")
        return await Check(
            self.base, ask, self._ask_root, partial(self.page, None, 1), self.now
        ).run()

    async def _ask_root(self, path: str) -> ProviderResponse:
        """GET a path of the server's beside those of its version."""
        base = self.base.parent if self.base.name == "v1" else self.base
        address = base.joinpath(path)
        return await reads.ask(self.http, "GET", address, self.headers, room=self.room)

    async def advice(self) -> Sequence[Advice]:
        """Return what is known of this kind of server that a user would not expect."""
        return advice_on(await self.probed())

    async def served(self) -> ServedModels | None:
        """Return what `GET /v1/models` lists. Raises `ProviderError`."""
        probed = await self.probed()
        if probed.models is None:
            raise ProviderError("The server could not be asked for its models", unreachable=True)
        if probed.models.status in {401, 403}:
            raise unread(probed.models, self.now())
        known = probed.kind is not ServerKind.UNKNOWN
        ignored = probed.facts.model_name is ModelName.ECHOED
        return ServedModels(probed.served, ignored, probed.facts.title if known else "")

    def _content_url(self, provider_job_id: str) -> str:
        return f"{self.base}/videos/{segment(provider_job_id)}/content"


def _video(provider_job_id: str) -> str:
    return f"videos/{segment(provider_job_id)}"
