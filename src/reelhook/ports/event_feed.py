"""What managing endpoints, and reading and repairing deliveries, ask of the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.delivery import Attempt, Delivery, UndeliveredReason
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease
from reelhook.ports.webhooks import StoredEvent


class EndpointStore(Protocol):
    """What managing endpoints needs. All but `create` may raise `EndpointNotFoundError`."""

    async def create_endpoint(self, endpoint: Endpoint) -> None:
        """Store a new endpoint; one that gets every job's events starts with the running jobs."""
        ...

    async def endpoints(self) -> list[Endpoint]:
        """Return the registered endpoints and the default one, oldest first."""
        ...

    async def endpoints_held_back(self) -> list[Endpoint]:
        """Return the endpoints of any kind that nothing, or nothing but probes, goes to."""
        ...

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """Return one endpoint, of any kind."""
        ...

    async def change_endpoint(
        self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """Change an endpoint in one transaction. Return it as it is then.

        `change` is pure: the store may call it again, and in another thread.
        """
        ...

    async def delete_endpoint(self, endpoint_id: str, now: Instant) -> None:
        """End an endpoint with all that waits for it. What was sent stays on record."""
        ...

    async def keep_default_endpoint(self, endpoint: Endpoint) -> None:
        """Store the endpoint of WEBHOOK_URL; another URL than before is trusted anew."""
        ...


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An event that never arrived, and why."""

    sequence: int
    fate: UndeliveredReason
    at: Instant


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it is read. `url` is where it goes now; `last` its last attempt."""

    delivery: Delivery
    url: str
    last: Attempt | None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list. `state` is one of `DELIVERY_STATES`."""

    state: str | None = None
    job_id: str | None = None
    endpoint_id: str | None = None


DELIVERY_STATES = ("waiting", "delivered", "failed", "ended")


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first, and the cursor of the next one."""

    deliveries: tuple[StoredDelivery, ...]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class Resend:
    """Sending anew all that failed from `since` to `until`, in batches; it outlives a restart.

    `endpoint_id` None: at every endpoint. `resent` counts so far.
    """

    id: str
    since: Instant
    until: Instant
    endpoint_id: str | None = None
    resent: int = 0
    finished_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of all jobs as they were written, and whether there are more.

    `restarted`: the event to go on from is no longer kept, so these begin with the oldest one.
    """

    events: list[StoredEvent]
    more: bool
    restarted: bool = False


class RepairStore(Protocol):
    """What reading and repairing deliveries need."""

    async def events_after(self, event_id: str | None, limit: int) -> EventPage:
        """Return events of all jobs in the order of their writing.

        Raises `InvalidRequestError` for what is no event's id.
        """
        ...

    async def deliveries(
        self, wanted: DeliveryFilter, limit: int, cursor: int | None
    ) -> DeliveryPage:
        """Return a page of deliveries, newest first."""
        ...

    async def delivery(self, delivery_id: int) -> StoredDelivery:
        """Raise `DeliveryNotFoundError` if there is none."""
        ...

    async def attempts(self, delivery_id: int, limit: int) -> list[Attempt]:
        """Return a delivery's attempts and those of its resends, newest first."""
        ...

    async def undelivered(self, delivery_id: int) -> list[Undelivered]:
        """Return the events that never arrived by this delivery, in order."""
        ...

    async def resend_one(self, delivery_id: int, sequence: int | None, now: Instant) -> Delivery:
        """Add a delivery that repeats an event (None: the job's newest). Raises as `delivery`,
        `EndpointNotFoundError` when its endpoint was deleted, `InvalidRequestError` when the job
        has no such event.
        """
        ...

    async def start_resend(self, resend: Resend) -> None:
        """Store that all failed shall be sent anew."""
        ...

    async def resend(self, resend_id: str) -> Resend:
        """Raise `ResendNotFoundError` if there is none."""
        ...


class ResendStore(Protocol):
    """What carrying out resends needs."""

    async def unfinished_resends(self) -> Sequence[Resend]:
        """Return what is still to be done, oldest first."""
        ...

    async def advance_resend(
        self, resend_id: str, limit: int, now: Instant, lease: Lease | None = None
    ) -> Resend:
        """Send anew the next `limit` failed events, and keep that, in one transaction.

        Nothing is done where the lease was lost.
        """
        ...
