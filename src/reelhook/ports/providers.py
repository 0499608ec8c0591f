"""Ports to providers, split by user, and the values that they exchange."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model
from reelhook.domain.report import Notice, Page, Reading, SubmitOutcome
from reelhook.domain.request import VideoRequest


@dataclass(frozen=True, slots=True)
class Content:
    """A finished file as a stream. `status` is 200, 206, or 416 (no such range).

    `ends_by_closing`: the end of the connection is the end of the file, so a file that broke off
    looks whole.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    ends_by_closing: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The ways to read a provider. The cheapest one is used.

    `batch_max`: the number of jobs that one `get_many` reads, with any number of requests; 0: not
    offered. `page_size_max`: the number of entries per page of the listing; 0: there is no listing,
    so a lost create cannot be looked up. Pages are also used for watching, unless there is
    `get_many`. `poll_seconds_min`: the least time between two reads of a job.
    `reads_per_second_max`: the limit for all reads of an account together; None: no known limit.
    `notifies`: it calls a URL that was passed with a create. `cancels`: it can stop a render.
    `remixes`: it can change a finished video by a new prompt; see `MayRemix`.
    `inline_bytes_max`: the most bytes of a file, by its kind, that a create carries; 0: it names
    addresses only. A kind that is missing has no known limit, or its files are uploaded.
    `failures_are_free`: its documentation says that it never charges for a failed job. False: it
    may charge, or that is not known.
    """

    batch_max: int = 0
    page_size_max: int = 0
    poll_seconds_min: float = 0.0
    reads_per_second_max: float | None = None
    notifies: bool = False
    cancels: bool = True
    failures_are_free: bool = False
    remixes: bool = False
    inline_bytes_max: Mapping[str, int] = field(default_factory=dict, hash=False)


Traits = Capabilities
"""The former name. Provider packages may still import it."""


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The models that a server reports. `ignored`: it ignores the requested model.

    `title` is its vendor's name for the server, empty if unknown.
    """

    names: tuple[str, ...]
    ignored: bool = False
    title: str = ""


class ProviderIdentity(Protocol):
    """The name, server and capabilities of a provider."""

    name: str
    server: str
    """Its base URL. The ids of its jobs belong to this server."""
    fingerprint: str
    """A hash of the server and the credential. A listing belongs to both."""
    traits: Capabilities


class Creates(ProviderIdentity, Protocol):
    """Creates jobs at a provider."""

    learnt: str
    """The adapter's findings about the server, as text that only the adapter reads. It is stored
    with the fingerprint and set again in another process. Empty: nothing was found."""

    @property
    def jobs_at_once(self) -> int | None:
        """The known limit of unfinished jobs; None: no known limit."""
        ...

    def model(self, name: str) -> Model | None:
        """Return a model and its limits; None if they are not known."""
        ...

    async def get_ready(self) -> None:
        """Find out, by free requests, the facts about the server that creates depend on.

        Never raises. It takes a few seconds at most, and none if that is already known.
        """
        ...

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Return the request that `submit` sends for this job.

        If it names no model, the result names the server's. The model may carry a mark
        (`domain.model_mark`).
        """
        ...

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Call the paid create exactly once, over a fresh connection. Never raises.

        `may_send` is called once the connection is open, just before the first byte: the permission
        to pay may have expired in the meantime. The provider may report changes to `callback_url`.
        """
        ...


class Reads(ProviderIdentity, Protocol):
    """Reads jobs of a provider.

    Reads raise `ProviderError` if they learn nothing; they never invent a report.
    """

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job."""
        ...

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """Read many jobs with few requests. Jobs left out of the result are read singly."""
        ...

    async def page(self, after: str | None, limit: int) -> Page:
        """Read one page of the listing, newest first, after the entry `after`."""
        ...

    async def forgets_when_restarted(self) -> bool:
        """Return True if the server keeps its jobs only in memory, so that a restart ends them.

        False unless that is certain, and always False if jobs cost money.
        """
        ...


class Cancels(Protocol):
    """Cancels jobs of a provider."""

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a job. Return False if the provider cannot. See `cancel_stops` for the effect."""
        ...

    async def cancel_stops(self) -> bool | None:
        """Return True if an accepted cancel ends the render.

        False: the job is only forgotten, and is still rendered. None: unknown.
        """
        ...


class MayRemix(Protocol):
    """Creates remixes, if its `traits` say so: `submit` gets requests with `remix_of`."""

    async def lacks_remix(self) -> str | None:
        """Return the name of a server that can't remix; None if it can, or if that is unknown."""
        ...


class FileReads(Protocol):
    """Opens finished files of a provider."""

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentMissingError` or `ProviderError`."""
        ...


class CreatesAndReads(Creates, Reads, FileReads, Protocol):
    """The part of a provider that workers use."""


class Webhooks(Protocol):
    """Reads webhooks of a provider."""

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook. Raises `WebhookVerificationError` if it is unsigned or unreadable."""
        ...


class Checks(Protocol):
    """Checks a provider by requests that cost nothing."""

    async def served(self) -> ServedModels | None:
        """Return the server's models, or None if it can't list them. Raises `ProviderError`."""
        ...

    async def check(self) -> str:
        """Make a free request. Return what the key gives access to, in a few words.

        Raises `ProviderUnauthorizedError` for a key that is refused, `CheckUnsupportedError` if
        no request is free, otherwise `ProviderError`.
        """
        ...


class Provider(CreatesAndReads, Cancels, MayRemix, Webhooks, Checks, Protocol):
    """One credential at one provider, with everything an adapter implements."""

    models: Sequence[Model]
    """The models whose limits are known. Others are passed on to the provider unchecked."""

    def lacking_field(self, request: VideoRequest) -> InvalidRequestError | None:
        """Return the refusal of a field that the server is known to lack; None if there is none.

        A server of which nothing is known yet may have all. Sends nothing.
        """
        ...

    def ahead(self, provider_job_id: str) -> int | None:
        """Return the number of jobs before this one at the provider, as it last reported.

        None if unknown.
        """
        ...

    def id_of(self, called: str, model: str) -> str:
        """Return our id for the job of this model that the provider, or a user, calls `called`.

        The model is empty if unknown. Raises `InvalidRequestError` for a text that is not an id.
        """
        ...
