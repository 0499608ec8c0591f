"""The record of deliveries: attempts, events that never arrived, and resends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.domain.audit import AuditEntry
from reelhook.domain.delivery import Attempt, Delivery, UndeliveredReason
from reelhook.domain.event import Instant
from reelhook.ports.event_feed import FeedStore
from reelhook.ports.leases import Lease

DELIVERY_STATES = ("waiting", "delivered", "failed", "ended")


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An event that never arrived, and the reason."""

    sequence: int
    fate: UndeliveredReason
    at: Instant


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as readers get it. `url` is its current address, `last` its last attempt."""

    delivery: Delivery
    url: str = field(repr=False)
    last: Attempt | None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """A filter for deliveries. `state` is one of `DELIVERY_STATES`."""

    state: str | None = None
    job_id: str | None = None
    endpoint_id: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first, and the cursor of the next one."""

    deliveries: tuple[StoredDelivery, ...]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class Resend:
    """A run that resends all events that failed in a period, in batches. It survives a restart.

    `endpoint_id` None: at every endpoint. `resent` counts the events so far. `project` None: of all
    projects.
    """

    id: str
    since: Instant
    until: Instant
    endpoint_id: str | None = None
    resent: int = 0
    finished_at: Instant | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class FailedEvents:
    """The number of events that failed at an endpoint. `more`: there may be more of them."""

    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class SentBody:
    """The body of an event as a delivery sends it, in the format of that name (None: the default).

    `own_secret`: the request's own secret signs it.
    """

    sequence: int
    event_id: str
    body: bytes
    format: str | None
    own_secret: bool


class DeliveryLogStore(FeedStore, Protocol):
    """Reads deliveries and starts resends. With `project`, nothing of another one exists.

    `audit` is the entry of a change that a caller made.
    """

    async def deliveries(
        self, wanted: DeliveryFilter, limit: int, cursor: int | None
    ) -> DeliveryPage:
        """Return a page of deliveries, newest first."""
        ...

    async def delivery(self, delivery_id: int, *, project: str | None = None) -> StoredDelivery:
        """Return one delivery. Raises `DeliveryNotFoundError`."""
        ...

    async def attempts(self, delivery_id: int, limit: int) -> list[Attempt]:
        """Return a delivery's attempts and those of its resends, newest first."""
        ...

    async def sent_bodies(self, delivery_id: int, sequences: Sequence[int]) -> list[SentBody]:
        """Return the bodies that a delivery sends for these events of its job."""
        ...

    async def undelivered(self, delivery_id: int) -> list[Undelivered]:
        """Return the events that never arrived through this delivery, in order."""
        ...

    async def resend_one(
        self,
        delivery_id: int,
        sequence: int | None,
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> Delivery:
        """Add a delivery that repeats an event (None: the job's newest).

        Raises `DeliveryNotFoundError`, `EndpointNotFoundError` if its endpoint was deleted, or
        `InvalidRequestError` if the job has no such event.
        """
        ...

    async def count_failed(
        self, endpoint_id: str, since: Instant, until: Instant, *, project: str | None = None
    ) -> FailedEvents:
        """Count the events that a run over this period would send to an endpoint again."""
        ...

    async def start_resend(self, resend: Resend, audit: AuditEntry | None = None) -> None:
        """Store a new run that sends failed events again."""
        ...

    async def resend(self, resend_id: str, *, project: str | None = None) -> Resend:
        """Return one run. Raises `ResendNotFoundError`."""
        ...


class ResendStore(Protocol):
    """Carries out resends."""

    async def unfinished_resends(self) -> Sequence[Resend]:
        """Return the unfinished runs, oldest first."""
        ...

    async def advance_resend(
        self, resend_id: str, limit: int, now: Instant, lease: Lease | None = None
    ) -> Resend:
        """Send the next `limit` failed events again, and record that, in one transaction.

        Nothing is done if the lease was lost.
        """
        ...
