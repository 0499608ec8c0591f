"""What providers over HTTP have in common. An adapter extends it and says only what differs.

`submit` keeps the one rule of paying: only what was definitely refused may be sent again.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self

from yarl import URL

from reelhook.domain.errors import (
    CheckUnsupportedError,
    InvalidRequestError,
    ListingUnsupportedError,
    ProviderUnauthorizedError,
    WebhookVerificationError,
)
from reelhook.domain.fingerprint import fingerprint
from reelhook.domain.model import Model
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    Missing,
    Notice,
    Page,
    Reading,
    Report,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities, Content, ServedModels
from reelhook.providers.http import reads
from reelhook.providers.http.address import base_url, bearer
from reelhook.providers.http.advice import Advice
from reelhook.providers.http.download import Source, download
from reelhook.providers.http.error_mapping import not_understood, refused, unread, words
from reelhook.providers.http.files import FileAccess, Files
from reelhook.providers.http.json_fields import is_segment
from reelhook.providers.http.paid_post import PaidPost
from reelhook.providers.http.rate_limiter import RateLimiter
from reelhook.providers.http.receiving import RESPONSE_BYTES_MAX, ResponseMemory
from reelhook.providers.http.response import ProviderResponse

Fields = Mapping[str, object]
_GATEWAYS = frozenset({408, 502, 504})
_CANNOT_CANCEL = frozenset({400, 404, 405, 409, 410, 422, 501})


class HttpProvider(ABC):
    """One account at a provider. Made within a running loop; used with `async with`, or closed.

    `base_url` None: the provider's own. `headers` go along with every request but those of files
    that lie elsewhere. `webhook_secret` is the provider's, for its webhooks, where an account has
    one. `files` is what the operator allows its files. `submit_timeout_seconds` bounds a paid
    request as a whole. `now` tells Unix seconds.
    Raises `SettingsError` for a URL or a key that can't be used.
    """

    name: str
    default_base_url: str | None = None
    default_path: str = ""
    """What is added to a base URL without a path."""
    traits: Capabilities = Capabilities()
    models: Sequence[Model] = ()
    shows_images: bool = False
    """Whether responses show again the `data:` URIs that came along with requests."""

    def __init__(
        self,
        base: str | None = None,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        webhook_secret: str | None = None,
        files: FileAccess | None = None,
        submit_timeout_seconds: float = 45.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.base = base_url(base or self.default_base_url or "", default_path=self.default_path)
        self.headers = {**(headers or {}), **self.authorization(key)}
        self.server = str(self.base)
        self.fingerprint = fingerprint(f"{self.name} {self.server}", self.headers)
        self.webhook_secret = webhook_secret
        self.submit_timeout_seconds = submit_timeout_seconds
        self.now = now
        self.http = reads.session()
        self.files = Files(self.base, self.http, files or FileAccess())
        self.room = ResponseMemory(images=self.shows_images)
        self.paid = PaidPost(self.room)
        self._pace = RateLimiter(self.traits.reads_per_second_max)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. A submit under way ends in doubt."""
        await self.paid.close()
        await self.files.close()
        await self.http.close()

    # -- for adapters: what differs -----------------------------------------------------------

    @abstractmethod
    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """See `Provider.submit`; `pay` does the paid part."""

    @abstractmethod
    async def get(self, provider_job_id: str) -> Reading:
        """See `Provider.get`."""

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the headers that show the key. Raises `SettingsError`."""
        return bearer(key)

    def model(self, name: str) -> Model | None:
        """Return the limits of a model, where they are known."""
        return next((one for one in self.models if one.name == name), None)

    # -- before a create ----------------------------------------------------------------------

    async def get_ready(self) -> None:  # noqa: B027 - most providers have nothing to find out
        """Find out nothing."""

    @property
    def jobs_at_once(self) -> int | None:
        """Any number, as far as is known."""
        return None

    learnt: str = ""
    """See `Provider.learnt`."""

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Return the request: it is sent as it is."""
        return request

    # -- for adapters: asking -----------------------------------------------------------------

    def url(self, path: str) -> URL:
        """Return an address below the base URL; `path` is quoted already."""
        return URL(f"{self.base}/{path}", encoded=True)

    async def ask(
        self, method: str, path: str, *, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Send a request that costs nothing, whatever its answer. Raises `ProviderError`.

        `bytes_max` bounds the response; pages of a listing may declare `PAGE_BYTES_MAX`.
        """
        await self._pace.turn()
        return await reads.ask(
            self.http, method, self.url(path), self.headers, room=self.room, bytes_max=bytes_max
        )

    async def found(self, path: str) -> ProviderResponse | None:
        """GET what there may be; None for a 404. Raises `ProviderError` for any other refusal."""
        answer = await self.ask("GET", path)
        if answer.status == 404:
            return None
        if not answer.ok:
            raise unread(answer, self.now())
        return answer

    async def read(self, path: str) -> Fields | None:
        """GET a JSON object; None for a 404. Raises `ProviderError` for any other refusal."""
        answer = await self.found(path)
        return None if answer is None else answer.fields()

    async def reading(self, path: str, report: Callable[[Fields], Report | None]) -> Reading:
        """GET one job. Raises `ProviderError`, with its words, for what shows no status."""
        answer = await self.found(path)
        if answer is None:
            return Reading(Missing())
        told = report(answer.fields())
        if told is None:
            raise not_understood(answer, "a job with a status")
        return Reading(told)

    async def pay(
        self,
        path: str,
        fields: Fields,
        may_send: Callable[[], bool],
        accepted: Callable[[Fields], Accepted | None],
    ) -> SubmitOutcome:
        """POST a paid request once, as JSON; `accepted` reads a 2xx: None without a readable id."""
        answer = await self.paid.send(
            self.url(path),
            json.dumps(fields).encode(),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                **self.headers,
            },
            timeout_seconds=self.submit_timeout_seconds,
            may_send=may_send,
        )
        if not isinstance(answer, ProviderResponse):
            return answer
        return outcome(answer, accepted, self.now())

    # -- what a provider without more can do --------------------------------------------------

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """Read none: there is no such request here."""
        return {}

    async def page(self, after: str | None, limit: int) -> Page:
        """Raise `ListingUnsupportedError`: there is no listing here."""
        raise ListingUnsupportedError(f"{self.name} has no listing of jobs")

    async def cancel(self, provider_job_id: str) -> bool:
        """Return False: a render can't be stopped here."""
        return False

    async def forgets_when_restarted(self) -> bool:
        """Return False: jobs are kept here."""
        return False

    async def cancel_stops(self) -> bool | None:
        """Return True: a cancel ends the render here."""
        return True

    async def canceled(self, method: str, path: str) -> bool:
        """Ask for a job's end; False where that is refused. Raises `ProviderError`."""
        answer = await self.ask(method, path)
        if answer.ok:
            return True
        error = unread(answer, self.now())
        if answer.status in _CANNOT_CANCEL and not isinstance(error, ProviderUnauthorizedError):
            return False
        raise error

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file, which lies where its job was finished with. It sees no key."""
        return self.file([Source(url)] if url else [], byte_range)

    def file(
        self, sources: Sequence[Source], byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the first of these sources that has the file; see `download`."""
        return download(self.files, sources, byte_range)

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Raise `WebhookVerificationError`: this provider sends no webhooks."""
        raise WebhookVerificationError(f"{self.name} sends no webhooks")

    def ahead(self, provider_job_id: str) -> int | None:
        """Return None: this provider does not tell how many jobs it renders before one."""
        return None

    def id_of(self, called: str, model: str) -> str:
        """Return our id of a job of this model that is called so. Raises `InvalidRequestError`."""
        if not is_segment(called):
            raise InvalidRequestError(
                "provider_job_id",
                f"{called!r} can't be a job's id at {self.name}: it must be one segment of a path, "
                "without slashes",
            )
        return called

    async def advice(self) -> Sequence[Advice]:
        """Return what an operator should know of this provider; nothing, by default."""
        return ()

    async def served(self) -> ServedModels | None:
        """Return the models that the server has; None where it is not asked for them.

        Raises `ProviderError`.
        """
        return None

    async def check(self) -> str:
        """Raise `CheckUnsupportedError`: nothing here is known to be free."""
        raise CheckUnsupportedError(f"{self.name} has no request that is known to cost nothing")


def outcome(
    answer: ProviderResponse, accepted: Callable[[Fields], Accepted | None], now: float
) -> SubmitOutcome:
    """Return what the answer to a paid request means. `now` is in Unix seconds."""
    match answer.status:
        case _ if answer.ok:
            told = accepted(answer.fields())
            return told or InDoubt(f"HTTP {answer.status} without a readable id: {words(answer)}")
        case status if 400 <= status < 500 and status not in {408, 409}:
            return refused(answer, now)
        case status:
            return InDoubt(f"HTTP {status}: {words(answer)}", ended=_ended_by_server(answer))


def _ended_by_server(answer: ProviderResponse) -> bool:
    """Whether a refusal comes from the server that was asked, so that it is through with it.

    What stands before a server, and has lost it or waited too long for it, says so with its own
    statuses (RFC 9110, 15.6; Cloudflare's from 520 on), and mostly with a page instead of JSON.
    """
    return 400 <= answer.status < 520 and answer.status not in _GATEWAYS and answer.is_object()
