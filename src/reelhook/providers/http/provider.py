"""The base class of providers with an HTTP API. An adapter adds its provider's differences.

`pay` keeps the one rule of paying: a create may be sent again only if the provider definitely did
not accept it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Self

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
from reelhook.domain.price import Price
from reelhook.domain.report import (
    Accepted,
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
from reelhook.providers.http.address import base_url, bearer, segment
from reelhook.providers.http.advice import Advice
from reelhook.providers.http.download import Source, download
from reelhook.providers.http.error_mapping import (
    not_understood,
    read_error,
)
from reelhook.providers.http.file_access import FileAccess, Files
from reelhook.providers.http.json_body import json_body
from reelhook.providers.http.json_fields import Fields, is_segment
from reelhook.providers.http.paid_post import PaidPost
from reelhook.providers.http.rate_limiter import RateLimiter
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.response_memory import RESPONSE_BYTES_MAX, ResponseMemory
from reelhook.providers.http.submit_outcome import outcome

_CANNOT_CANCEL = frozenset({400, 404, 405, 409, 410, 422, 501})


class HttpProvider(ABC):
    """One account at a provider. Made within a running loop; used with `async with`, or closed.

    `base` is the base URL; None: the provider's own. `headers` are sent with every request except
    those for files at other origins. `webhook_secret` verifies the provider's webhooks. `files` is
    the access to files that the operator allows. `submit_timeout_seconds` bounds a paid request as
    a whole. `now` returns Unix seconds.
    Raises `SettingsError` for an unusable URL or key.
    """

    name: str
    title: str = ""
    """The name as its vendor writes it, for messages; empty: `name`."""
    default_base_url: str | None = None
    default_path: str = ""
    """The path of a base URL that is given without one."""
    jobs_path: str = ""
    """The path of the jobs below the base URL; see `job_path`."""
    traits: Capabilities = Capabilities()
    models: Sequence[Model] = ()
    rates: ClassVar[Mapping[str, Price]] = {}
    """The worth of one of the provider's own units, for prices and charges."""
    shows_images: bool = False
    """True if responses repeat the `data:` URIs of requests."""

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
        self.title = self.title or self.name
        self.server = str(self.base)
        self.fingerprint = fingerprint(f"{self.name} {self.server}", self.headers)
        self.webhook_secret = webhook_secret
        self.submit_timeout_seconds = submit_timeout_seconds
        self.now = now
        self.http = reads.session()
        self.files = Files(self.base, self.http, files or FileAccess())
        self.memory = ResponseMemory(images=self.shows_images)
        self.paid = PaidPost(self.memory)
        self._rate_limiter = RateLimiter(self.traits.reads_per_second_max)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. A submit in flight ends in doubt."""
        await self.paid.close()
        await self.files.close()
        await self.http.close()

    # -- for adapters: the differences --------------------------------------------------------

    @abstractmethod
    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """See `Provider.submit`; `pay` sends the paid request."""

    @abstractmethod
    async def get(self, provider_job_id: str) -> Reading:
        """See `Provider.get`."""

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the headers that carry the key. Raises `SettingsError`."""
        return bearer(key)

    def model(self, name: str) -> Model | None:
        """Return a model and its limits; None if they are not known."""
        return next((model for model in self.models if model.name == name), None)

    # -- before a create ----------------------------------------------------------------------

    async def get_ready(self) -> None:  # noqa: B027 - most providers have nothing to find out
        """Do nothing."""

    @property
    def jobs_at_once(self) -> int | None:
        """Return None: any number, as far as is known."""
        return None

    learnt: str = ""
    """See `Provider.learnt`."""

    def lacking_field(self, request: VideoRequest) -> InvalidRequestError | None:
        """Return None: the models' limits say all that is known."""
        return None

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Return the request unchanged."""
        return request

    # -- for adapters: requests ---------------------------------------------------------------

    def url(self, path: str) -> URL:
        """Return a URL below the base URL; `path` must be quoted already."""
        return URL(f"{self.base}/{path}", encoded=True)

    def job_path(self, provider_job_id: str) -> str:
        """Return the path of one job. Raises `ProviderError` for an id that fits no path."""
        return f"{self.jobs_path}/{segment(provider_job_id)}"

    async def ask(
        self, method: str, path: str, *, bytes_max: int = RESPONSE_BYTES_MAX
    ) -> ProviderResponse:
        """Send a request that costs nothing; return the response, whatever its status.

        `bytes_max` bounds the response; for pages of a listing `PAGE_BYTES_MAX` is right.
        Raises `ProviderError`.
        """
        await self._rate_limiter.wait_turn()
        return await reads.ask(
            self.http, method, self.url(path), self.headers, memory=self.memory, bytes_max=bytes_max
        )

    async def found(self, path: str) -> ProviderResponse | None:
        """GET a response; None for a 404. Raises `ProviderError` for any other refusal."""
        response = await self.ask("GET", path)
        return None if response.status == 404 else self._successful(response)

    async def required(self, path: str) -> ProviderResponse:
        """GET a response. Raises `ProviderError` for any refusal."""
        return self._successful(await self.ask("GET", path))

    def _successful(self, response: ProviderResponse) -> ProviderResponse:
        if not response.ok:
            raise read_error(response, self.now())
        return response

    async def read(self, path: str) -> Fields | None:
        """GET a JSON object; None for a 404. Raises `ProviderError` for any other refusal."""
        response = await self.found(path)
        return None if response is None else response.fields()

    async def reading(self, path: str, report: Callable[[Fields], Report | None]) -> Reading:
        """GET one job. Raises `ProviderError`, with its text, for a response without a status."""
        response = await self.found(path)
        if response is None:
            return Reading(Missing())
        read = report(response.fields())
        if read is None:
            raise not_understood(response, "a job with a status")
        return Reading(read)

    async def pay(
        self,
        path: str,
        fields: Fields,
        may_send: Callable[[], bool],
        accepted: Callable[[Fields], Accepted | None],
    ) -> SubmitOutcome:
        """POST a paid request once, as JSON.

        `accepted` reads the body of a 2xx; it returns None if that has no readable id.
        """
        response = await self.paid.send(
            self.url(path),
            await json_body(fields),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                **self.headers,
            },
            timeout_seconds=self.submit_timeout_seconds,
            may_send=may_send,
        )
        if not isinstance(response, ProviderResponse):
            return response
        return outcome(response, accepted, self.now())

    # -- defaults for features that a provider may lack ---------------------------------------

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """Return nothing: this provider has no such request."""
        return {}

    async def page(self, after: str | None, limit: int) -> Page:
        """Raise `ListingUnsupportedError`: this provider has no listing."""
        raise ListingUnsupportedError(f"{self.title} has no listing of jobs")

    async def cancel(self, provider_job_id: str) -> bool:
        """Return False: this provider can't stop a render."""
        return False

    async def forgets_when_restarted(self) -> bool:
        """Return False: this provider keeps its jobs."""
        return False

    async def cancel_stops(self) -> bool | None:
        """Return True: a cancel ends the render."""
        return True

    async def lacks_remix(self) -> str | None:
        """Return the provider's name: it can't remix a video."""
        return self.title

    async def canceled(self, method: str, path: str) -> bool:
        """Send a request to cancel a job; return False if it is refused. Raises `ProviderError`."""
        response = await self.ask(method, path)
        if response.ok:
            return True
        error = read_error(response, self.now())
        if response.status in _CANNOT_CANCEL and not isinstance(error, ProviderUnauthorizedError):
            return False
        raise error

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file at the address that its job reported; the key is not sent."""
        return self.file([Source(url)] if url else [], byte_range)

    def file(
        self, sources: Sequence[Source], byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the first of these sources that has the file; see `download`."""
        return download(self.files, sources, byte_range)

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Raise `WebhookVerificationError`: this provider sends no webhooks."""
        raise WebhookVerificationError(f"{self.title} sends no webhooks")

    def ahead(self, provider_job_id: str) -> int | None:
        """Return None: this provider does not report a job's place in its queue."""
        return None

    def id_of(self, called: str, model: str) -> str:
        """Return our id of a job that the provider calls `called`; see `Provider.id_of`."""
        if not is_segment(called):
            raise InvalidRequestError(
                "provider_job_id",
                f"{called!r} is not a job id at {self.title}: it must be one segment of a path, "
                "without slashes",
            )
        return called

    async def advice(self) -> Sequence[Advice]:
        """Return advice for the operator; none by default."""
        return ()

    async def served(self) -> ServedModels | None:
        """Return the models that the server lists; None if reelhook does not ask for them.

        Raises `ProviderError`.
        """
        return None

    async def check(self) -> str:
        """Raise `CheckUnsupportedError`: no request of this provider is known to be free."""
        raise CheckUnsupportedError(f"{self.title} has no request that is known to cost nothing")
