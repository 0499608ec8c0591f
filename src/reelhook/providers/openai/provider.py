"""OpenAI's videos API, `/v1/videos`, which many servers and gateways offer.

Paths and fields as in openai-python 3.54 (`resources/videos.py`), webhooks as in `types/webhooks/`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cached_property, partial

from yarl import URL

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import (
    CursorRefusedError,
    InvalidRequestError,
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
from reelhook.providers.http.error_mapping import error_message, not_understood, read_error
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.response_memory import PAGE_BYTES_MAX
from reelhook.providers.http.retry_after import poll_after_seconds
from reelhook.providers.http.standard_webhook import signed_body
from reelhook.providers.openai.check import Check, advice_on
from reelhook.providers.openai.content import content_or_missing
from reelhook.providers.openai.create import Create
from reelhook.providers.openai.enclosed import enclosed
from reelhook.providers.openai.fields import lacking_field
from reelhook.providers.openai.probe import Probed, probe
from reelhook.providers.openai.server import OpenAIServer
from reelhook.providers.openai.server_kind import ModelName, ServerKind
from reelhook.providers.openai.video import failure, page, report

SHORT_PAGE_SIZE = 10
"""The page size after a page that was too long: at most 4 MB, even with the longest prompts."""
_NO_LISTING = frozenset({403, 405, 501})
_NO_FIRST_PAGE = frozenset({400, 404, 422})
_NOT_ABOUT_THE_JOB = frozenset({401, 403, 429})
"""Statuses of a read that are about the key or the rate, regardless of the body."""


class OpenAI(HttpProvider):
    """One account at a server of `/v1/videos`. Its base URL may omit `/v1`."""

    name = "openai"
    default_path = "/v1"
    jobs_path = "videos"
    traits = Capabilities(page_size_max=100, remixes=True)

    @cached_property
    def _create(self) -> Create:
        return Create(
            self.url(self.jobs_path),
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
        """Find out the kind of the server; see `OpenAIServer.find_out`."""
        await self._server.find_out()

    @property
    def jobs_at_once(self) -> int | None:
        """Return 1 for a server that is known to have no queue."""
        return self._server.facts.jobs_at_once

    @property
    def learnt(self) -> str:
        """See `OpenAIServer.learnt`."""
        return self._server.learnt

    @learnt.setter
    def learnt(self, text: str) -> None:
        self._server.learnt = text

    def lacking_field(self, request: VideoRequest) -> InvalidRequestError | None:
        """Return the refusal of a field that the server, whose kind is known, lacks."""
        if not self._server.is_known or request.remix_of is not None:
            return None  # of a remix, only the prompt is sent
        return lacking_field(request, self._server.kind)

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Name the only model of the server if none is named; mark the name if listings show it."""
        if request.remix_of is not None:
            return request  # its create has no model
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
        """Create a video, exactly once; see `Create.submit`. `callback_url` is not sent."""
        return await self._create.submit(request, may_send)

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job. The id in the response is ignored: LiteLLM's is a different one."""
        response = await self.ask("GET", self.job_path(provider_job_id))
        read = self._report(response, provider_job_id)
        return Reading(read, poll_after_seconds(response.headers))

    def _report(self, response: ProviderResponse, provider_job_id: str) -> Report:
        video = response.fields()
        if response.ok:
            if read := report(video, lambda: self._content_url(provider_job_id)):
                return read
            raise not_understood(response, "a video with a status")
        if response.status in _NOT_ABOUT_THE_JOB:
            raise read_error(response, self.now())
        if response.status >= 400 and (failed := failure(enclosed(video))):
            return failed
        if response.status == 404:
            return Missing(own=response.is_object())
        raise read_error(response, self.now())

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first, after `after`; `limit` is 1 to 100.

        Some servers refuse an unknown cursor; SGLang and vLLM-Omni return an empty page.
        """
        limit = min(max(limit, 1), self.traits.page_size_max)
        try:
            return await self._page(after, limit)
        except ResponseTooLargeError:
            if limit <= SHORT_PAGE_SIZE:
                raise
            return await self._page(after, SHORT_PAGE_SIZE)

    async def _page(self, after: str | None, limit: int) -> Page:
        cursor = "" if after is None else f"&after={segment(after)}"
        path = f"videos?limit={limit}&order=desc{cursor}"
        response = await self.ask("GET", path, bytes_max=PAGE_BYTES_MAX)
        if not response.ok:
            raise self._listing_error(response, after)
        fields = response.fields()
        entries = fields.get("data")
        count = len(entries) if isinstance(entries, list) else 0
        listing = await run_in_thread_if_large(
            count, partial(page, fields, limit, self._content_url)
        )
        if listing is None:
            raise not_understood(response, "a list of videos")
        return listing

    def _listing_error(self, response: ProviderResponse, after: str | None) -> ProviderError:
        if response.status in _NO_LISTING:
            return ListingUnsupportedError(error_message(response))
        if response.status in _NO_FIRST_PAGE:
            kind = ListingUnsupportedError if after is None else CursorRefusedError
            return kind(error_message(response))
        return read_error(response, self.now())

    async def cancel(self, provider_job_id: str) -> bool:
        """Delete the job; return False if the server refuses that.

        For a job that has completed, the same request deletes its video, although it is paid for.
        So the job is read first.
        """
        if isinstance((await self.get(provider_job_id)).report, Finished):
            return False
        return await self.canceled("DELETE", self.job_path(provider_job_id))

    async def forgets_when_restarted(self) -> bool:
        """Return True for a kind of server that is known to keep its jobs in memory only."""
        return (await self.probed()).facts.memory_only is True

    async def cancel_stops(self) -> bool | None:
        """Return True if a DELETE ends the render at this kind of server; None: not known."""
        await self._server.find_out()
        return self._server.facts.delete_stops

    async def lacks_remix(self) -> str | None:
        """Return the title of a kind of server that is known to have no remix."""
        await self._server.find_out()
        facts = self._server.facts
        return facts.title if facts.remixes is False else None

    async def probed(self) -> Probed:
        """Find out the kind of the server now."""
        probed = await probe(partial(self.ask, "GET"))
        self._server.models = probed.served or self._server.models
        return probed

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file; `url` is the address that its job reported."""
        opening = self.file(self._sources(provider_job_id, url), byte_range)
        return content_or_missing(opening, partial(self.get, provider_job_id))

    def _sources(self, provider_job_id: str, url: str) -> list[Source]:
        """Return the addresses of the file; other origins never get the key."""
        own = Source(URL(self._content_url(provider_job_id), encoded=True), self.headers)
        if url in {"", str(own.url)}:
            return [own]
        return [own, Source(url, self.headers)] if self.files.is_own(url) else [Source(url), own]

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook; it is registered at the provider for a whole account.

        It is `{type: "video.completed", data: {id}}`, signed with the account's `webhook_secret`.
        Raises `WebhookVerificationError`.
        """
        if self.webhook_secret is None:
            raise WebhookVerificationError(
                "The account has no webhook_secret (OPENAI_WEBHOOK_SECRET), "
                "so its provider's webhooks can't be verified"
            )
        event = signed_body(
            headers,
            body,
            secret=self.webhook_secret,
            owner="The account's webhook",
            now_seconds=self.now(),
        )
        data = event.get("data")
        video_id = readable_id(data.get("id")) if isinstance(data, dict) else None
        if video_id is None:
            raise WebhookVerificationError("The webhook's body is not an event about a video")
        return Notice(video_id)

    async def check(self) -> str:
        """Read one job, an unknown job, and the models; see `Check.run`."""
        ask = partial(self.ask, "GET")
        return await Check(
            self.base, ask, self._ask_root, partial(self.page, None, 1), self.now
        ).run()

    async def _ask_root(self, path: str) -> ProviderResponse:
        """GET a path next to `/v1`."""
        base = self.base.parent if self.base.name == "v1" else self.base
        address = base.joinpath(path)
        return await reads.ask(self.http, "GET", address, self.headers, memory=self.memory)

    async def advice(self) -> Sequence[Advice]:
        """Return the facts about this kind of server that its operator may not expect."""
        return advice_on(await self.probed())

    async def served(self) -> ServedModels | None:
        """Return the models that `GET /v1/models` lists. Raises `ProviderError`."""
        probed = await self.probed()
        if probed.models is None:
            raise ProviderError("The server's list of models can't be read", unreachable=True)
        if probed.models.status in {401, 403}:
            raise read_error(probed.models, self.now())
        known = probed.kind is not ServerKind.UNKNOWN
        ignored = probed.facts.model_name is ModelName.ECHOED
        return ServedModels(probed.served, ignored, probed.facts.title if known else "")

    def _content_url(self, provider_job_id: str) -> str:
        return f"{self.base}/{self.job_path(provider_job_id)}/content"
