"""Ports for delivering webhooks: the store of due deliveries, and the sender."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.encryption import is_encrypted
from reelhook.domain.endpoint import ALL_LANES, DEFAULT_FORMAT, Endpoint
from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease

PROBES_READ = 32
"""The number of probes that one query returns by default."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """One attempt, ready to send. `trusted`: the operator chose the URL; any address is allowed."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    trusted: bool
    timeout_seconds: float


class Sender(Protocol):
    """Sends attempts. Never raises, except for cancellation."""

    async def send(self, request: SignedRequest) -> WebhookResponse:
        """POST and return the response, body included, within `timeout_seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A stored event, with the body that every attempt sends. `project` is known in the feed."""

    event_id: str
    job_id: str
    sequence: int
    body: bytes
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that may be sent now, with its next event, whose body is in this `format`.

    `secret` is the request's own; None: the endpoint's secret signs.
    """

    delivery: Delivery
    event: StoredEvent
    secret: str | None = field(default=None, repr=False)
    format: str = DEFAULT_FORMAT

    @property
    def locked(self) -> bool:
        """True if this process can't decrypt the request's own secret."""
        return self.secret is not None and is_encrypted(self.secret)


@dataclass(frozen=True, slots=True)
class DueEndpoint:
    """An endpoint with what may be sent to it now: only the probe if its breaker is open."""

    endpoint: Endpoint
    deliveries: tuple[DueDelivery, ...]


@dataclass(frozen=True, slots=True)
class DueDeliveries:
    """Deliveries that may be sent now, by endpoint, and the time at which the next one is due.

    `left`: more endpoints may have something due than one query reads. `early`: endpoints that have
    been checked for a while with nothing due; they may rest. `probes_put_off`: probes were not
    read, because other deliveries are due.
    """

    endpoints: tuple[DueEndpoint, ...]
    next_due_at: Instant | None
    left: bool = False
    early: tuple[str, ...] = field(default=(), compare=False)
    probes_put_off: bool = False


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of an attempt: its record, the cursor's move, and the endpoint's new health.

    `decide` receives the delivery as it is at the time of the write. It must be pure: it may be
    called more than once, and in another thread. `lease` is the lane's; once lost, nothing is
    recorded (None: no lease is required). `endpoint` is None if nothing about it changed.
    `reopened`: its breaker closed, so pending retries are due at once. `still_open`: it was open
    and still is, so the endpoint rests until its next probe. `again`: it may already have been
    recorded, and then it is not counted twice.
    """

    attempt: Attempt
    decide: Callable[[Delivery], Delivery]
    endpoint: Endpoint | None = None
    reopened: bool = False
    still_open: bool = False
    lease: Lease | None = None
    again: bool = False


class DeliveryStore(Protocol):
    """Reads due deliveries and records attempts."""

    async def due_deliveries(
        self,
        now: Instant,
        *,
        lanes: frozenset[int] = ALL_LANES,
        per_endpoint: int,
        limit: int,
        busy: frozenset[str],
        probes: int = PROBES_READ,
        probes_alone: bool = False,
    ) -> DueDeliveries:
        """Return the oldest due deliveries of the lanes' endpoints, at most `per_endpoint` of each.

        Endpoints in `busy` and disabled ones are skipped. For endpoints with an open breaker at
        most `probes` deliveries are returned; with 0 they are not read at all. With `probes_alone`
        they are not read either if any other delivery is due.
        """
        ...

    async def rest_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        """Check these endpoints again only when something can be due there.

        Not durable: after a crash they may be checked once more.
        """
        ...

    async def due_delivery(self, delivery_id: int, now: Instant) -> DueEndpoint | None:
        """Return one delivery with its current endpoint, if it may be sent."""
        ...

    async def ended_meanwhile(self, delivery_ids: Sequence[int]) -> list[int]:
        """Return the deliveries whose job has ended and whose final event still waits."""
        ...

    async def settle(self, settlement: Settlement) -> Delivery | None:
        """Record an attempt and move its delivery's cursor, in one transaction.

        Return None if the lease was lost: nothing was recorded.
        """
        ...
