"""Replicate: predictions of the models that it hosts.

Paths and fields as in replicate-python 1.0.7 (`prediction.py`, `model.py`, `pagination.py`,
`account.py`) and 2.0.0b4 (`resources/predictions.py`: what the listing shows and how it is
filtered); rate limits from replicate.com/docs/topics/predictions/rate-limits.
"""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from urllib.parse import quote

from yarl import URL

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import CursorRefusedError, ListingUnsupportedError, ProviderError
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
from reelhook.providers.http.address import segment
from reelhook.providers.http.error_mapping import not_understood, unread, words
from reelhook.providers.http.json_fields import encodable, readable_id, text, web_address
from reelhook.providers.http.provider import Fields, HttpProvider
from reelhook.providers.http.receiving import PAGE_BYTES_MAX, RESPONSE_BYTES_MAX
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import reset_seconds
from reelhook.providers.replicate.cursor_cache import CursorCache
from reelhook.providers.replicate.models import MODELS, input_of, target
from reelhook.providers.replicate.prediction import entry, report
from reelhook.providers.replicate.webhook import ReplicateWebhooks

PAGE_SIZE = 100

_EVENTS = ("start", "completed")
_NO_LISTING = frozenset({404, 405, 501})
_CURSOR_REFUSED = frozenset({400, 404, 422})


class Replicate(HttpProvider):
    """One account at Replicate. A model is `owner/name`, `owner/name:version` or a version."""

    name = "replicate"
    default_base_url = "https://api.replicate.com/v1"
    default_path = "/v1"
    traits = Capabilities(
        page_size_max=PAGE_SIZE,
        reads_per_second_max=50,  # 3,000 a minute
        notifies=True,
    )
    models = MODELS
    shows_images = True

    @cached_property
    def _places(self) -> CursorCache:
        return CursorCache()

    @cached_property
    def _notices(self) -> ReplicateWebhooks:
        return ReplicateWebhooks(self._signing_secret, self.webhook_secret, self.now)

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a prediction, exactly once."""
        asked = target(request.model)
        if asked is None:
            return Refused(
                "invalid_request",
                "A model at Replicate is written owner/name or owner/name:version",
            )
        path, fields = asked
        fields["input"] = input_of(request)
        if callback_url is not None and self._calls(callback_url):
            fields["webhook"] = callback_url
            fields["webhook_events_filter"] = _EVENTS
        return await self.pay(path, fields, may_send, self._accepted)

    def _calls(self, callback_url: str) -> bool:
        """Whether the URL will do: Replicate refuses the request for one that is not HTTPS."""
        return callback_url.startswith("https://") or self.base.scheme == "http"

    def _accepted(self, prediction: Fields) -> Accepted | None:
        provider_job_id = readable_id(prediction.get("id"))
        if provider_job_id is None:
            return None
        self._places.seen(provider_job_id, prediction.get("created_at"))
        return Accepted(provider_job_id, report(prediction) or Progress(running=False))

    # -- reading ------------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, *, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Send a request that costs nothing; none follows before the rate allows it.

        Raises `ProviderError`.
        """
        answer = await super().ask(method, path, bytes_max=bytes_max)
        self._pace.rest(reset_seconds(answer.headers) or 0.0)
        return answer

    async def get(self, provider_job_id: str) -> Reading:
        """Read one prediction."""

        def told(prediction: Fields) -> Report | None:
            self._places.seen(provider_job_id, prediction.get("created_at"))
            return report(prediction)

        return await self.reading(_prediction(provider_job_id), told)

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first, behind `after`: 100 entries, whatever `limit`.

        The moment of an entry that was never seen here is asked for, which is a request more.
        """
        if after is None:
            return await self._page("predictions", None)
        following = self._places.next_of(after)
        if following is not None:
            try:
                return await self._page(f"predictions?{following}", after)
            except CursorRefusedError:
                self._places.forget_next(after)
        if self._places.before(after) is None:
            prediction = await self.read(_prediction(after)) or {}
            self._places.seen(after, prediction.get("created_at"))
        before = self._places.before(after)
        if before is None:
            raise CursorRefusedError(f"Replicate has no prediction {after!r} with a time")
        return await self._page(f"predictions?created_before={quote(before, safe='')}", after)

    async def _page(self, path: str, after: str | None) -> Page:
        answer = await self.ask("GET", path, bytes_max=PAGE_BYTES_MAX)
        if not answer.ok:
            raise self._unlisted(answer, after)
        listing = answer.fields()
        lines = listing.get("results")
        if not isinstance(lines, list):
            raise not_understood(answer, "a list of predictions")
        return await run_in_thread_if_large(len(lines), partial(self._shown, listing, lines, after))

    def _shown(self, listing: Fields, lines: list[object], after: str | None) -> Page:
        following = listing.get("next")
        self._places.seen_page(_ids_and_moments(lines), _query(following))
        read = [entry(line) if isinstance(line, dict) else None for line in lines]
        told = [one for one in read if one is not None]
        return Page(
            # The page may begin a little early, with the entry itself and what is as old.
            tuple(one for one in told if one.provider_job_id != after),
            more=following is not None if "next" in listing else len(lines) >= PAGE_SIZE,
            unreadable=len(read) - len(told),
        )

    def _unlisted(self, answer: ProviderResponse, after: str | None) -> ProviderError:
        if after is not None and answer.status in _CURSOR_REFUSED:
            return CursorRefusedError(words(answer))
        if after is None and answer.status in _NO_LISTING:
            return ListingUnsupportedError(words(answer))
        return unread(answer, self.now())

    # -- the rest -----------------------------------------------------------------------------

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel the prediction; False where Replicate does not, or no longer, do that."""
        return await self.canceled("POST", f"{_prediction(provider_job_id)}/cancel")

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook, signed with the account's secret."""
        return await self._notices.read(headers, body)

    async def _signing_secret(self) -> str:
        answer = await self.ask("GET", "webhooks/default/secret")
        if not answer.ok:
            raise unread(answer, self.now())
        secret = text(answer.fields().get("key"))
        if secret is None:  # the words of what should have been a secret are not shown
            raise ProviderError("The provider's answer is not a secret")
        return secret

    async def check(self) -> str:
        """Ask whose key it is."""
        answer = await self.ask("GET", "account")
        if not answer.ok:
            raise unread(answer, self.now())
        username = text(answer.fields().get("username"))
        if username is None:
            raise not_understood(answer, "an account")
        return f"account {encodable(username)}"


def _prediction(provider_job_id: str) -> str:
    return f"predictions/{segment(provider_job_id)}"


def _ids_and_moments(lines: list[object]) -> list[tuple[str, object]]:
    predictions = [line for line in lines if isinstance(line, dict)]
    read = [(readable_id(one.get("id")), one.get("created_at")) for one in predictions]
    return [(one, created_at) for one, created_at in read if one is not None]


def _query(following: object) -> str | None:
    """Return the query of the address of the next page; its host gets no key of ours."""
    address = web_address(following)
    return None if address is None else URL(address).raw_query_string or None
