"""Replicate: predictions of the models that it hosts.

Paths and fields as in replicate-python 1.0.7 (`prediction.py`, `model.py`, `pagination.py`,
`account.py`) and 2.0.0b4 (`resources/predictions.py`: the fields and filters of the listing); rate
limits from replicate.com/docs/topics/predictions/rate-limits.
"""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from io import BytesIO
from typing import ClassVar
from urllib.parse import quote

from aiohttp import FormData
from yarl import URL

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import CursorRefusedError, ListingUnsupportedError, ProviderError
from reelhook.domain.media import BYTES_MAX, File
from reelhook.domain.report import (
    Accepted,
    Notice,
    Page,
    Progress,
    Reading,
    Refused,
    Report,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities
from reelhook.providers.http.error_mapping import error_message, not_understood, read_error
from reelhook.providers.http.json_fields import Fields, encodable, readable_id, text, web_address
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.response_memory import PAGE_BYTES_MAX, RESPONSE_BYTES_MAX
from reelhook.providers.http.retry_after import reset_seconds
from reelhook.providers.http.uploading import UploadingProvider
from reelhook.providers.http.uploads import address_in, file_name
from reelhook.providers.replicate.cursor_cache import CursorCache
from reelhook.providers.replicate.models import MODELS, input_of, refusal_before_sending, target
from reelhook.providers.replicate.prediction import entry, report
from reelhook.providers.replicate.webhook import ReplicateWebhooks

PAGE_SIZE = 100

_EVENTS = ("start", "completed")
_NO_LISTING = frozenset({404, 405, 501})
_CURSOR_REFUSED = frozenset({400, 404, 422})


class Replicate(UploadingProvider):
    """One account at Replicate. A model is `owner/name`, `owner/name:version` or a version."""

    name = "replicate"
    title = "Replicate"
    default_base_url = "https://api.replicate.com/v1"
    default_path = "/v1"
    jobs_path = "predictions"
    traits = Capabilities(
        page_size_max=PAGE_SIZE,
        reads_per_second_max=50,  # 3,000 a minute
        notifies=True,
    )
    models = MODELS
    shows_images = True
    inline_max: ClassVar = dict.fromkeys(BYTES_MAX, 1_000_000)
    """Source: Replicate's documentation, "Input files": `data:` URIs are for less than 1 MB. An
    upload may have 100 MB."""

    @cached_property
    def _cursors(self) -> CursorCache:
        return CursorCache()

    @cached_property
    def _webhooks(self) -> ReplicateWebhooks:
        return ReplicateWebhooks(self._signing_secret, self.webhook_secret, self.now)

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a prediction, exactly once."""
        create = target(request.model)
        if create is None:
            return Refused(
                "invalid_request",
                "A model at Replicate is written owner/name or owner/name:version",
            )
        if refused := refusal_before_sending(request):
            return refused
        sent = await self.with_uploads(request)
        if not isinstance(sent, VideoRequest):
            return sent
        path, fields = create
        fields["input"] = input_of(sent)
        if callback_url is not None and self._can_call(callback_url):
            fields["webhook"] = callback_url
            fields["webhook_events_filter"] = _EVENTS
        return await self.pay(path, fields, may_send, self._accepted)

    async def upload(self, file: File) -> str:
        """Upload a file (replicate-python 1.0.7, `file.py`). Replicate deletes it by itself."""
        form = FormData()
        form.add_field(
            "content", BytesIO(file.body), filename=file_name(file), content_type=file.content_type
        )
        uploaded = await self.uploader.ask(self.url("files"), self.headers, form)
        urls = uploaded.get("urls")
        return address_in(urls if isinstance(urls, dict) else {}, "get")

    def _can_call(self, callback_url: str) -> bool:
        """Return True for a usable URL: Replicate refuses a request with one that is not HTTPS."""
        return callback_url.startswith("https://") or self.base.scheme == "http"

    def _accepted(self, prediction: Fields) -> Accepted | None:
        provider_job_id = readable_id(prediction.get("id"))
        if provider_job_id is None:
            return None
        self._cursors.seen(provider_job_id, prediction.get("created_at"))
        return Accepted(provider_job_id, report(prediction) or Progress(running=False))

    # -- reading ------------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, *, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Send a request that costs nothing; the next one waits until the rate allows it.

        Raises `ProviderError`.
        """
        response = await super().ask(method, path, bytes_max=bytes_max)
        self._rate_limiter.pause(reset_seconds(response.headers) or 0.0)
        return response

    async def get(self, provider_job_id: str) -> Reading:
        """Read one prediction."""

        def read(prediction: Fields) -> Report | None:
            self._cursors.seen(provider_job_id, prediction.get("created_at"))
            return report(prediction)

        return await self.reading(self.job_path(provider_job_id), read)

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first, after `after`: 100 entries, whatever `limit`.

        If `after` was never seen here, one more request reads its time.
        """
        if after is None:
            return await self._page("predictions", None)
        following = self._cursors.next_of(after)
        if following is not None:
            try:
                return await self._page(f"predictions?{following}", after)
            except CursorRefusedError:
                self._cursors.forget_next(after)
        if self._cursors.before(after) is None:
            prediction = await self.read(self.job_path(after)) or {}
            self._cursors.seen(after, prediction.get("created_at"))
        before = self._cursors.before(after)
        if before is None:
            raise CursorRefusedError(f"Replicate has no prediction {after!r} with a time")
        return await self._page(f"predictions?created_before={quote(before, safe='')}", after)

    async def _page(self, path: str, after: str | None) -> Page:
        response = await self.ask("GET", path, bytes_max=PAGE_BYTES_MAX)
        if not response.ok:
            raise self._listing_error(response, after)
        listing = response.fields()
        lines = listing.get("results")
        if not isinstance(lines, list):
            raise not_understood(response, "a list of predictions")
        return await run_in_thread_if_large(len(lines), partial(self._shown, listing, lines, after))

    def _shown(self, listing: Fields, lines: list[object], after: str | None) -> Page:
        following = listing.get("next")
        self._cursors.seen_page(_ids_and_times(lines), _query(following))
        read = [entry(line) if isinstance(line, dict) else None for line in lines]
        entries = [line for line in read if line is not None]
        return Page(
            # The page may begin a little early, with the entry itself and others of the same time.
            tuple(line for line in entries if line.provider_job_id != after),
            more=following is not None if "next" in listing else len(lines) >= PAGE_SIZE,
            unreadable=len(read) - len(entries),
        )

    def _listing_error(self, response: ProviderResponse, after: str | None) -> ProviderError:
        if after is not None and response.status in _CURSOR_REFUSED:
            return CursorRefusedError(error_message(response))
        if after is None and response.status in _NO_LISTING:
            return ListingUnsupportedError(error_message(response))
        return read_error(response, self.now())

    # -- the rest -----------------------------------------------------------------------------

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel the prediction; return False if Replicate refuses that."""
        return await self.canceled("POST", f"{self.job_path(provider_job_id)}/cancel")

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook, signed with the account's secret."""
        return await self._webhooks.read(headers, body)

    async def _signing_secret(self) -> str:
        response = await self.required("webhooks/default/secret")
        secret = text(response.fields().get("key"))
        if secret is None:  # the body may hold a secret, so that no error shows it
            raise ProviderError("The provider's response is not a secret")
        return secret

    async def check(self) -> str:
        """Read the account of the key."""
        response = await self.required("account")
        username = text(response.fields().get("username"))
        if username is None:
            raise not_understood(response, "an account")
        return f"account {encodable(username)}"


def _ids_and_times(lines: list[object]) -> list[tuple[str, object]]:
    predictions = [line for line in lines if isinstance(line, dict)]
    return [
        (provider_job_id, prediction.get("created_at"))
        for prediction in predictions
        if (provider_job_id := readable_id(prediction.get("id"))) is not None
    ]


def _query(following: object) -> str | None:
    """Return the query of the next page's address; its host must not get our key."""
    address = web_address(following)
    return None if address is None else URL(address).raw_query_string or None
