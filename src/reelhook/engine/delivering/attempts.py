"""Attempts: sends one webhook and records the response, with the endpoint's new health."""

import asyncio
from dataclasses import replace
from random import Random

import structlog

from reelhook.core.facts import Emit, EndpointChanged, WebhookAttempted, WebhookDeferred
from reelhook.core.signing import Signing
from reelhook.domain.delivery import (
    ATTEMPT_SECONDS,
    PROGRESS_ATTEMPT_SECONDS,
    Attempt,
    Delivery,
    WebhookResponse,
)
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.event import Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.delivering.fair_queue import FairQueue
from reelhook.engine.delivering.in_flight import InFlight
from reelhook.engine.delivering.probing import Probing
from reelhook.engine.leases import Leases
from reelhook.ports import (
    Clock,
    DeliveryStore,
    DueDelivery,
    Lease,
    Sender,
    Settlement,
    SignedRequest,
)

log = structlog.get_logger()
RECORD_WAIT_SECONDS = 1.0
DURATION_MILLISECONDS_MAX = 2**31 - 1
"""The largest duration that the column of an attempt holds: 24 days."""
SECRET_LOCKED = WebhookResponse(
    0,
    error="secret_locked",
    detail="The request's callback secret can't be decrypted here; start reelhook with its "
    "encryption key in REELHOOK_ENCRYPTION_KEYS",
)
"""The attempt at a delivery that can't be signed. Nothing is sent."""


class Attempts:
    """Makes attempts at the deliveries of a queue, one at a time for each delivery."""

    def __init__(
        self,
        store: DeliveryStore,
        sender: Sender,
        queue: FairQueue,
        probing: Probing,
        *,
        leases: Leases,
        signing: Signing,
        schedule: RetrySchedule,
        emit: Emit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._queue = queue
        self._probing = probing
        self._leases = leases
        self._signing = signing
        self._schedule = schedule
        self._emit = emit
        self._clock = clock
        self._random = random

    async def make(self, flight: InFlight) -> bool:
        """Make one attempt and record it. Return False if it was preempted."""
        delivery = flight.due.delivery
        if not self._leases.good(flight.lease):
            return True  # another worker has it by now
        endpoint = self._queue.queue(delivery.endpoint_id).endpoint
        flight.started_at = self._clock.now()
        if flight.due.locked:
            attempt = _attempt(flight, SECRET_LOCKED, probe=False)
            await self._record(flight, endpoint, attempt, says_nothing=True)
            return True
        probe = endpoint.health.open and not delivery.is_retry_due(flight.started_at)
        begun = asyncio.get_running_loop().time()
        response = await self._send(flight, self._request(flight.due, endpoint, flight.started_at))
        if response is not None and response.unsent:
            self._defer(endpoint, delivery, response)
            return True
        self._queue.end_pause(endpoint.id)
        preempted = response is None
        if response is None:
            took = _milliseconds_since(begun)
            response = WebhookResponse(took, error="superseded", detail="The job has ended")
        attempt = _attempt(flight, response, probe=probe)
        await self._record(flight, endpoint, attempt, says_nothing=preempted)
        return not preempted

    async def _record(
        self, flight: InFlight, endpoint: Endpoint, attempt: Attempt, *, says_nothing: bool
    ) -> None:
        """Record an attempt at an endpoint, given as it was when the attempt began.

        `says_nothing`: the endpoint's health does not depend on it.
        """
        now = self._clock.now()
        before = after = self._queue.queue(endpoint.id).endpoint
        if not says_nothing:
            after = before.responded(attempt.response, now, probe=endpoint.health.open)
            self._keep(before, after)
        if endpoint.health.open and after.health.open and not says_nothing:
            await self._probing.gather()
            after = self._queue.queue(endpoint.id).endpoint
        still_open = endpoint.health.open and before.health.open and after.health.open
        jitter = self._random.getrandbits(32)
        settlement = Settlement(
            attempt,
            lambda current: self._decide(current, attempt, endpoint.kind, now, jitter),
            None if after.same_health_as(before) else after,
            reopened=before.health.open and not after.health.open,
            still_open=still_open,
            lease=flight.lease,
        )
        delivery = flight.due.delivery
        moved = await self._settle(settlement, flight.lease)
        if still_open:
            await self._probing.turn()
        if moved is None:
            log.warning("delivery.lost", delivery=delivery.id, lease=flight.lease.id)
        else:
            self._emit(WebhookAttempted(endpoint, delivery, attempt, moved))

    def _defer(self, endpoint: Endpoint, delivery: Delivery, response: WebhookResponse) -> None:
        """Leave a delivery due: a limit of this process says nothing about the receiver."""
        self._queue.pause(endpoint.id, self._clock.now(), self._random)
        self._emit(WebhookDeferred(endpoint, delivery, response.detail))

    async def _settle(self, settlement: Settlement, lease: Lease) -> Delivery | None:
        """Record an attempt, with retries until the store works: its disk may be full.

        So nothing is sent again because a record is missing. Returns None if the lease was lost.
        """
        while self._leases.of(lease.id) == lease:
            try:
                return await self._store.settle(settlement)
            except DATABASE_FAILURES as error:
                delivery = settlement.attempt.delivery_id
                log.warning("delivery.unrecorded", delivery=delivery, error=error.message)
                settlement = replace(settlement, again=True)
            await self._clock.wait(asyncio.Event(), RECORD_WAIT_SECONDS)
        return None

    async def _send(self, flight: InFlight, request: SignedRequest) -> WebhookResponse | None:
        """Return the response, or None if `limit` cut the attempt short."""
        try:
            async with asyncio.timeout(None) as flight.limit:
                return await self._sender.send(request)
        except TimeoutError:
            return None
        finally:
            flight.limit = None

    def _decide(
        self, current: Delivery, attempt: Attempt, kind: EndpointKind, now: Instant, jitter: int
    ) -> Delivery:
        """Return the delivery after an attempt. Pure: the store may call this more than once.

        `jitter` is the seed of the random part of a retry's delay.
        """
        if attempt.response.gone and kind is not EndpointKind.URL:
            return current  # the endpoint is disabled; events wait until it is enabled
        return current.settle(
            attempt.sequence,
            attempt.response,
            now,
            probe=attempt.probe,
            schedule=self._schedule,
            random=Random(jitter),  # noqa: S311  # makes no keys
        )

    def _keep(self, before: Endpoint, after: Endpoint) -> None:
        """Use an endpoint's new health from now on, and report a change of its state."""
        self._queue.queue(after.id).endpoint = after
        if after.held_back:
            self._queue.clear(after.id)
        if after.health.open != before.health.open or after.disabled != before.disabled:
            self._emit(EndpointChanged(before, after))

    def _request(self, due: DueDelivery, endpoint: Endpoint, now: Instant) -> SignedRequest:
        progress = due.delivery.status_sequence is None
        return self._signing.request(
            endpoint,
            due.event.body,
            message_id=due.event.event_id,
            now=now,
            timeout_seconds=PROGRESS_ATTEMPT_SECONDS if progress else ATTEMPT_SECONDS,
            url=due.delivery.url,
            secret=due.secret,
            body_format=due.format,
        )


def _attempt(flight: InFlight, response: WebhookResponse, *, probe: bool) -> Attempt:
    delivery, event = flight.due.delivery, flight.due.event
    return Attempt(
        delivery_id=delivery.id,
        event_id=event.event_id,
        sequence=event.sequence,
        number=delivery.attempts + 1,
        started_at=flight.started_at,
        response=response,
        probe=probe,
    )


def _milliseconds_since(begun: float) -> int:
    """Return the milliseconds since `begun`, by the loop's clock, which is monotonic."""
    taken = round((asyncio.get_running_loop().time() - begun) * 1000)
    return min(max(taken, 0), DURATION_MILLISECONDS_MAX)
