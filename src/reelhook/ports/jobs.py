"""What the store keeps of jobs, and what each of its users asks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.endpoint import url_id
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job, Status, VideoRequest
from reelhook.domain.waiting import Waiting
from reelhook.ports.coordination import AccountRecord
from reelhook.ports.leases import Lease
from reelhook.ports.webhooks import StoredEvent

ANY_BYTES = 2**62


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
    """Where a job's events go: a known endpoint, or the `url` that the job brought along."""

    endpoint_id: str
    url: str | None = None

    @classmethod
    def to(cls, url: str) -> "Destination":
        """Return the destination of a job's own URL."""
        return cls(url_id(url), url)


SOLE_HOLDER = "default"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key and the fingerprint of the body it came with.

    `holder` tells clients apart. `SOLE_HOLDER` is that of an installation with one client: all keys
    that were ever kept are its own, and its keys are known to whoever is told apart later.
    """

    holder: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is first stored, in one transaction with its deliveries and its key.

    Endpoints that get every job's events are added to the destinations as it is stored.
    """

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
class ListedJob:
    """A job as lists read it: without what may be large, which is its text, image and options."""

    job: Job
    title: str
    seconds: str | None
    size: str | None
    aspect_ratio: str | None
    seed: int | None
    fallbacks: tuple[str, ...]
    webhook_url: str | None
    checked_at: Instant | None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it is read by itself: state, request, and what stands beside them."""

    job: Job
    request: VideoRequest
    webhook_url: str | None
    checked_at: Instant | None

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The models to try where the ones before did not accept."""
        return self.request.fallbacks

    @property
    def listed(self) -> ListedJob:
        """The job as lists read it."""
        request = self.request
        return ListedJob(
            self.job,
            request.title,
            request.seconds,
            request.size,
            request.aspect_ratio,
            request.seed,
            request.fallbacks,
            self.webhook_url,
            self.checked_at,
        )


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
    """What submitting needs."""

    async def jobs_to_submit(
        self, account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
    ) -> tuple[list[StoredJob], Instant | None]:
        """Return accepted jobs that are due, oldest first, and when the next one will be.

        Their images and options come to `bytes_max` at most, without those of the last one.
        """
        ...

    async def jobs_waiting_elsewhere(
        self,
        accounts: Sequence[str],
        idle_since: Instant,
        limit: int,
        bytes_max: int = ANY_BYTES,
    ) -> list[StoredJob]:
        """Return accepted jobs of these accounts that nothing was done for since, oldest first.

        `bytes_max` as for `jobs_to_submit`, for each account.
        """
        ...

    async def jobs_with_fallbacks(
        self, account: str, waiting_since: Instant, limit: int
    ) -> list[ListedJob]:
        """Return accepted jobs that have waited for their model since before then, oldest first,
        of those that came with other models to try.
        """
        ...

    async def in_flight(self, account: str) -> int:
        """Return how many jobs the account's provider has, or may have."""
        ...

    async def jobs_submitting(self, account: str) -> list[Job]:
        """Return the jobs whose create call has no recorded outcome."""
        ...

    async def jobs_now(self, job_ids: Sequence[str]) -> list[Job]:
        """Return those of these jobs that there are, as they stand."""
        ...

    async def accept(
        self, change: Change, lease: Lease | None, sharing: Sequence[str] = ()
    ) -> Acceptance:
        """Record that the provider has the job. A create's own response dislodges an adoption.

        `sharing` are the other accounts of the same server, whose jobs have ids from it too.
        """
        ...


class WatchStore(Recorder, Protocol):
    """What watching needs."""

    async def jobs_to_watch(self, account: str, accepted_since: Instant = 0) -> list[Job]:
        """Return the jobs that the provider has not ended, newest first."""
        ...

    async def versions_to_watch(self, account: str) -> str:
        """Return `id:version` of each of these jobs, joined by commas, newest first.

        One text, since of 100,000 rows even the making of their tuples is felt.
        """
        ...

    async def watched_jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """Return those of these jobs that the provider has not ended."""
        ...

    async def record_round(self, account: str, now: Instant, lease: Lease | None = None) -> None:
        """Keep when the account's last round ended, unless the lease was lost."""
        ...


class SweepStore(Recorder, Protocol):
    """What sweeping needs."""

    async def jobs_unsubmitted_before(self, created_before: Instant) -> list[Job]:
        """Return jobs made before that moment which no provider has accepted."""
        ...

    async def jobs_unfinished_before(self, accepted_before: Instant) -> list[Job]:
        """Return jobs, a thousand at most, that providers have had since before that moment and
        have not ended.
        """
        ...

    async def forget_idempotency_keys(self, created_before: Instant) -> int:
        """Delete keys made before that moment; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """A job that no provider has taken yet, and what it waits for."""

    job_id: str
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class AccountLoad:
    """How many jobs of an account wait to be created, and how many its provider may have.

    `refused` is the job whose create was refused last, of those that no provider has yet.
    """

    waiting: int = 0
    in_flight: int = 0
    refused: RefusedJob | None = None


@dataclass(frozen=True, slots=True)
class CostLine:
    """What the jobs of one day (days since 1970, UTC), model and unit cost. None: nothing told."""

    day: int
    provider: str
    model: str
    unit: str | None
    jobs: int
    completed: int
    quoted: float | None
    charged: float | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first, and the cursor of the next one."""

    jobs: tuple[ListedJob, ...]
    next_cursor: str | None


class FollowStore(Protocol):
    """What following jobs needs."""

    async def last_position(self) -> int:
        """Return the position of the feed's last event; 0 where there is none."""
        ...

    async def jobs_of_events_after(self, position: int, limit: int) -> list[tuple[int, str]]:
        """Return position and job of the events behind this position, in order."""
        ...

    async def sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the sequence of the last event of each of these jobs that there is."""
        ...


class ServiceStore(SubmitStore, FollowStore, Protocol):
    """What the use cases need."""

    async def probe(self) -> None:
        """Write something that nobody reads. Raises `StoreError` or `CommitUnknownError`."""
        ...

    async def create(self, new: NewJob) -> Created:
        """Store a job with its deliveries and key in one transaction; an adopted one settles the
        doubt that it comes from.

        Raises `IdempotencyKeyReusedError`, `JobIdTakenError`, `JobConflictError` where that doubt
        is settled already, `InvalidRequestError` for an endpoint that there is not, `StoreError`
        or `CommitUnknownError`.
        """
        ...

    async def jobs_in_doubt(self, limit: int, cursor: str | None) -> JobPage:
        """Return a page of the jobs in doubt, oldest first: those that ended so, then the others.

        Raises `InvalidRequestError` for a bad cursor.
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

    async def endpoint_counts(self) -> dict[str, int]:
        """Return how many endpoints are `failing` (only probes go out) and `disabled`."""
        ...

    async def account_loads(self) -> dict[str, AccountLoad]:
        """Return what each account has to do, where it has anything."""
        ...

    async def jobs_ahead(self, job: Job) -> int:
        """Return how many accepted jobs of the same account come before this one."""
        ...

    async def close_doubt(self, job_id: str, now: Instant) -> bool:
        """Keep that a person has settled a doubt; False where there was none open."""
        ...

    async def destinations(self, job_id: str) -> list[Destination]:
        """Return where a job's events go."""
        ...

    async def job_of_provider(
        self, accounts: Sequence[str], provider_job_id: str
    ) -> StoredJob | None:
        """Return the job of one of these accounts that its provider calls so."""
        ...

    async def costs(self, since: Instant, until: Instant) -> list[CostLine]:
        """Return what jobs made between these moments cost, by day, model and unit."""
        ...

    async def account_records(self) -> dict[str, AccountRecord]:
        """Return the state of every account that has one, by the account's id."""
        ...

    async def pause_watching(self, now: Instant) -> None:
        """Keep that watching is paused, for every process. A pause that holds already goes on."""
        ...

    async def resume_watching(self) -> None:
        """Keep that it is not."""
        ...

    async def watching_paused_since(self) -> Instant | None:
        """Return since when watching is paused."""
        ...

    async def account_status(self, account: str) -> AccountStatus:
        """Return how an account fares with the worker that has it."""
        ...
