"""What delivering asks of the store and of the wire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import ALL_LANES, Endpoint
from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease

PROBES_READ = 32
"""How many probes one look at the store finds, unless it is told otherwise."""


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

    async def send(self, request: SignedRequest) -> WebhookResponse:
        """POST and return what came back, within `timeout_seconds`, the body included."""
        ...


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
class DueEndpoint:
    """An endpoint and what may be sent to it now; behind an open breaker that is the probe."""

    endpoint: Endpoint
    deliveries: tuple[DueDelivery, ...]


@dataclass(frozen=True, slots=True)
class DueDeliveries:
    """What may be sent now, by endpoint, and when the next one after these is due.

    `left`: more endpoints may have something due than one look reads. `early`: endpoints that have
    been looked at for a while without anything due; they may rest.
    """

    endpoints: tuple[DueEndpoint, ...]
    next_due_at: Instant | None
    left: bool = False
    early: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt brought: the record, the cursor's move, and how the endpoint fares now.

    `decide` gets the delivery as it is by then. It is pure: the store may call it again, and in
    another thread. `lease` is the lane's: whoever lost it
    records nothing (None: no lease is asked for). `endpoint` is None where nothing about it
    changed; `reopened` when its breaker closed, so that what waits for a retry may go at once.
    `again`: it may have been recorded already, and then it is not counted a second time.
    """

    attempt: Attempt
    decide: Callable[[Delivery], Delivery]
    endpoint: Endpoint | None = None
    reopened: bool = False
    lease: Lease | None = None
    again: bool = False


class DeliveryStore(Protocol):
    """What delivering needs."""

    async def due_deliveries(
        self,
        now: Instant,
        *,
        lanes: frozenset[int] = ALL_LANES,
        per_endpoint: int,
        limit: int,
        busy: frozenset[str],
        probes: int = PROBES_READ,
    ) -> DueDeliveries:
        """Return the oldest due deliveries of the lanes' endpoints, at most `per_endpoint` of each.

        Endpoints in `busy` are passed over, and those that are disabled. Behind open breakers at
        most `probes` deliveries are returned; with 0 nobody looks there.
        """
        ...

    async def rest_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        """Look at these endpoints no earlier than something can be due there.

        Not durable: after a crash they may be looked at once more.
        """
        ...

    async def due_delivery(self, delivery_id: int, now: Instant) -> DueEndpoint | None:
        """Return one delivery with its endpoint as it is now, if it may be sent."""
        ...

    async def ended_meanwhile(self, delivery_ids: Sequence[int]) -> list[int]:
        """Return those of the deliveries for which the end of their job waits."""
        ...

    async def settle(self, settlement: Settlement) -> Delivery | None:
        """Record an attempt and move its delivery's cursor, in one transaction.

        None when the lease was lost: nothing was recorded.
        """
        ...
