"""Time, and what reelhook asks of a provider."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.domain.model import Model
from reelhook.domain.report import Notice, Page, Reading, SubmitOutcome
from reelhook.domain.request import VideoRequest


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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a provider can be asked; the cheapest way is taken.

    `batch_max`: how many jobs one `get_many` reads, however many requests it makes for them; 0:
    it has none. `page_size_max`: entries in a page of the listing; 0: there is no listing, so a
    lost submit can't be looked up. Pages serve for watching too, unless there is `get_many`.
    `poll_seconds_min`: how long after a look at a job the next one may follow.
    `reads_per_second_max`: of all reads of an account together; None: no limit is known.
    `notifies`: whether it calls a URL that comes along with a submit. `cancels`: whether it can
    stop a render.
    """

    batch_max: int = 0
    page_size_max: int = 0
    poll_seconds_min: float = 0.0
    reads_per_second_max: float | None = None
    notifies: bool = False
    cancels: bool = True


Traits = Capabilities
"""The former name. Provider packages may still import it."""


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The models that a server says it has; `ignored`: it renders with its own, whatever is named.

    `title` is what its vendor calls the server, empty where that is not known.
    """

    names: tuple[str, ...]
    ignored: bool = False
    title: str = ""


class Provider(Protocol):
    """One credential at one provider, and how to talk to it.

    Reads raise `ProviderError` when nothing could be learnt; they never invent an answer.
    """

    name: str
    server: str
    """Its base URL: what the ids of its jobs belong to."""
    fingerprint: str
    """A hash of the server and the credential: what a listing belongs to."""
    traits: Capabilities
    models: Sequence[Model]
    """The models whose limits are known. Others are passed on, for the provider to judge."""

    @property
    def jobs_at_once(self) -> int | None:
        """How many jobs it can take before one has ended, as far as is known; None: any number."""
        ...

    learnt: str
    """What was found out about the server, as text that only this adapter reads, to be kept with
    the fingerprint and set again in another process; empty where that is nothing."""

    async def get_ready(self) -> None:
        """Find out what creates need to know of the server, by requests that cost nothing.

        Never raises. It takes a few seconds at most, and none where it is known already.
        """
        ...

    def prepared(self, request: VideoRequest, job_id: str) -> VideoRequest:
        """Return the request as `submit` is to send it for this job.

        Its model is the server's own where it names none, and may carry a mark (`domain.mark`).
        """
        ...

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Call the paid create exactly once, over a fresh connection. Never raises.

        `may_send` is asked once that connection stands, just before the first byte: the right to
        pay may have run out meanwhile. `callback_url` is where the provider may tell of changes.
        """
        ...

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job."""
        ...

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """Read many jobs with few requests. Those left out are read singly."""
        ...

    async def page(self, after: str | None, limit: int) -> Page:
        """Read one page of the listing, newest first, behind the entry `after`."""
        ...

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a job; False where the provider can't. What that means: see `cancel_stops`."""
        ...

    async def forgets_when_restarted(self) -> bool:
        """Whether the server keeps its jobs in memory alone, so that a restart ends them.

        False where that is not known for sure, and wherever a job is charged.
        """
        ...

    async def cancel_stops(self) -> bool | None:
        """Whether a cancel that was taken ends the render.

        False where the job is only forgotten and is rendered all the same; None: not known.
        """
        ...

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentMissingError` or `ProviderError`."""
        ...

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook of the provider's.

        Raises `WebhookVerificationError` where it is not signed as it must be, or not readable.
        """
        ...

    def ahead(self, provider_job_id: str) -> int | None:
        """Return how many jobs the provider renders before this one, as it last told this process.

        None where that is not known.
        """
        ...

    def id_of(self, called: str, model: str) -> str:
        """Return our id of a job of this model that the provider, or we, call so.

        The model is empty where it is not known. Raises `InvalidRequestError` for what is no id.
        """
        ...

    async def served(self) -> ServedModels | None:
        """Return the models that the server has; None where it is not asked for them.

        Raises `ProviderError`.
        """
        ...

    async def check(self) -> str:
        """Ask something that costs nothing; return what the key opens, in a few words.

        Raises `ProviderUnauthorizedError` for a key that is refused, `CheckUnsupportedError`
        where nothing is free, else `ProviderError`.
        """
        ...
