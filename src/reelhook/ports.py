"""What the heart of the program asks of its edge: narrow protocols, as narrow as their user."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from reelhook.domain.delivery import Answer, Attempt, Delivery
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job, Status, VideoRequest
from reelhook.domain.report import Page, Reading, SubmitOutcome


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> Instant:
        """Return the wall clock, in milliseconds since the epoch."""
        ...

    async def wait(self, signal: asyncio.Event, seconds: float | None) -> None:
        """Return when the signal is set, or after `seconds` (None: only when set)."""
        ...


# -- providers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """A finished file, as it streams. `status` is 200, 206 or 416 (no such range)."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Provider(Protocol):
    """One credential at one provider, and how to talk to it.

    Reads raise `ProviderError` when nothing could be learnt; they never invent an answer.
    """

    name: str
    page_size_max: int
    """Entries in a listing page; 0 where the provider has no listing at all."""

    async def submit(self, request: VideoRequest) -> SubmitOutcome:
        """Call the paid create exactly once, over a fresh connection. Never raises."""
        ...

    async def get(self, provider_job_id: str) -> Reading:
        """Read one job."""
        ...

    async def page(self, after: str | None, limit: int) -> Page:
        """Read one page of the listing, newest first, behind the entry `after`."""
        ...

    async def cancel(self, provider_job_id: str) -> bool:
        """Stop the render; False where the provider can't."""
        ...

    def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AbstractAsyncContextManager[Content]:
        """Open the finished file. Raises `ContentMissingError` or `ProviderError`."""
        ...


# -- webhooks -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """One attempt, ready to go. `trusted`: the operator named the URL, no address is refused."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    trusted: bool
    timeout_seconds: float


class Sender(Protocol):
    """Sends one attempt. Never raises, but for cancellation."""

    async def send(self, request: SignedRequest) -> Answer:
        """POST and return what came back, within `timeout_seconds`, the body included."""
        ...


# -- the store ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for an account or a lane; `epoch` rises with every owner."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Change:
    """A job's new state (its `version` still the one that was read) and the events that tell it.

    `bodies` are the events' webhook bodies, in the same order.
    """

    job: Job
    events: tuple[Event, ...] = ()
    bodies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a job's events go."""

    url: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key and the fingerprint of the body it came with."""

    holder: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is first stored, in one transaction with its deliveries and its key."""

    job: Job
    request: VideoRequest
    webhook_url: str | None
    destinations: tuple[Destination, ...]
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The stored job; `replayed` when the key, or the provider's id, was known already."""

    job_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it is read: state, request, and what stands beside them."""

    job: Job
    request: VideoRequest
    webhook_url: str | None
    checked_at: Instant | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept, with the body that every attempt sends."""

    event_id: str
    job_id: str
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that may be sent now, with the event that is next."""

    delivery: Delivery
    event: StoredEvent


@dataclass(frozen=True, slots=True)
class DueDeliveries:
    """What may be sent now, and when the next one after these is due."""

    deliveries: tuple[DueDelivery, ...]
    next_due_at: Instant | None


class Acceptance(Enum):
    """What became of recording that a provider has a job."""

    RECORDED = "recorded"
    TAKEN = "taken"
    """Another job of ours holds this provider's job: look again."""
    DUPLICATE = "duplicate"
    """The provider answered two creates, or a create and a registration, with the same id."""
    STALE = "stale"
    """The job has changed since it was read, or the lease was lost."""


class Recorder(Protocol):
    """Writes what happened to jobs."""

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        """Write states, events and cursors in one transaction; return the ids that were written.

        Passed over: a job that has changed since it was read, that has ended, or whose lease
        (None: no lease is asked for) was lost.
        """
        ...


class SubmitStore(Recorder, Protocol):
    """What submitting and looking up need."""

    async def jobs_to_submit(
        self, account: str, now: Instant, limit: int
    ) -> tuple[list[StoredJob], Instant | None]:
        """Return accepted jobs that are due, oldest first, and when the next one will be."""
        ...

    async def jobs_submitting(self, account: str) -> list[StoredJob]:
        """Return the jobs whose create call has no recorded outcome."""
        ...

    async def accept(self, change: Change, lease: Lease | None) -> Acceptance:
        """Record that the provider has the job. A create's own answer dislodges an adoption."""
        ...

    async def claimed(self, account: str, provider_job_ids: Sequence[str]) -> dict[str, bool]:
        """Return which of these are jobs of ours already, and whether we created each."""
        ...

    async def listing_proven(self, account: str) -> bool:
        """Return whether an id that we created was ever seen in this account's listing."""
        ...

    async def prove_listing(self, account: str) -> None:
        """Keep that it was."""
        ...


class WatchStore(Recorder, Protocol):
    """What watching needs."""

    async def jobs_to_watch(self, account: str, accepted_since: Instant = 0) -> list[Job]:
        """Return the jobs that the provider has not ended, newest first."""
        ...

    async def record_round(self, account: str, now: Instant) -> None:
        """Keep when the account's last round ended."""
        ...

    async def prove_listing(self, account: str) -> None:
        """Keep that an id that we created was seen in this account's listing."""
        ...


class DeliveryStore(Protocol):
    """What delivering needs."""

    async def due_deliveries(
        self, now: Instant, *, per_endpoint: int, limit: int, busy: frozenset[str]
    ) -> DueDeliveries:
        """Return the oldest due deliveries of every endpoint, at most `per_endpoint` of each.

        Endpoints in `busy` are passed over.
        """
        ...

    async def settle(self, attempt: Attempt, decide: Callable[[Delivery], Delivery]) -> Delivery:
        """Record an attempt and move its delivery's cursor by `decide`, in one transaction."""
        ...


class SweepStore(Recorder, Protocol):
    """What sweeping needs."""

    async def jobs_unsubmitted_before(self, created_before: Instant) -> list[Job]:
        """Return jobs made before that moment which no provider has accepted."""
        ...

    async def forget_idempotency_keys(self, created_before: Instant) -> int:
        """Delete keys made before that moment; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first, and the cursor of the next one."""

    jobs: tuple[StoredJob, ...]
    next_cursor: str | None


class ServiceStore(SubmitStore, Protocol):
    """What the use cases need."""

    async def create(self, new: NewJob) -> Created:
        """Store a job with its deliveries and key in one transaction.

        Raises `IdempotencyKeyReusedError`, `JobIdTakenError` or `StoreError`.
        """
        ...

    async def job(self, job_id: str) -> StoredJob:
        """Raise `JobNotFoundError` if there is none."""
        ...

    async def jobs(self, status: Status | None, limit: int, cursor: str | None) -> JobPage:
        """Return a page of jobs, newest first. Raises `InvalidRequestError` for a bad cursor."""
        ...

    async def events(self, job_ids: Sequence[str], after: Mapping[str, int]) -> list[StoredEvent]:
        """Return these jobs' events behind the given sequences, in order."""
        ...

    async def record_check(self, job_id: str, now: Instant) -> None:
        """Keep when a job was last read by itself."""
        ...

    async def counts(self) -> dict[str, int]:
        """Return the number of jobs of each status."""
        ...

    async def deliveries_waiting(self) -> int:
        """Return the number of deliveries with something to send."""
        ...

    async def last_round(self, account: str) -> Instant | None:
        """Return when the account's last round ended."""
        ...
