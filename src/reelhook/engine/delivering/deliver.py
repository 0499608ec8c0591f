"""Deliver: sends the waiting events of each endpoint, in order for each job.

A delivery has at most one attempt in flight and an endpoint a few (see `FairQueue`), so no receiver
holds up another. Only this process knows which attempts are in flight. In the store they are still
due, so another process sends them again after a crash, with the same `webhook-id`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from random import Random

from reelhook.core.facts import Emit, EndpointLocked
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import lane_of
from reelhook.domain.event import Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.delivering.attempts import Attempts
from reelhook.engine.delivering.fair_queue import SLOTS, FairQueue
from reelhook.engine.delivering.in_flight import InFlight
from reelhook.engine.delivering.probing import PROBE_SECONDS, Probing
from reelhook.engine.leases import Leases
from reelhook.engine.runner import RunningTasks
from reelhook.ports import (
    Clock,
    DeliveryStore,
    DueDeliveries,
    DueDelivery,
    DueEndpoint,
    Lease,
    Sender,
)

READY_PER_ENDPOINT = 100
"""Several times the number that may be in flight, so that a long queue takes few reads."""
READY_MAX = 8 * SLOTS
READ_AGAIN_SECONDS = 0.05
"""The wait before the next read if one read did not return everything that is due. An attempt that
ends may shorten it."""


class Deliver:
    """Sends webhooks."""

    name = "deliver"

    def __init__(
        self,
        store: DeliveryStore,
        sender: Sender,
        signals: Signals,
        *,
        leases: Leases,
        signing: Signing,
        schedule: RetrySchedule,
        concurrency: int,
        emit: Emit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._endpoints = signals.endpoints
        self._leases = leases
        self._clock = clock
        self._queue = FairQueue(concurrency)
        self._traffic = signals.webhook_traffic
        self._probing = Probing(signals.webhook_traffic)
        self._attempts = Attempts(
            *(store, sender, self._queue, self._probing),
            leases=leases,
            signing=signing,
            schedule=schedule,
            emit=emit,
            clock=clock,
            random=random,
        )
        self._emit = emit
        self._locked: set[str] = set()
        """The endpoints that wait because their secrets can't be decrypted here."""
        self._random = random
        self._resting = False
        self._sending_probes = False
        self._in_flight: dict[int, InFlight] = {}
        self._finished: set[int] = set()
        """The deliveries whose attempts ended since the current read of the store began."""
        self._endpoints_version = 0
        self._lanes: Mapping[int, Lease] = {}
        """The lanes, with their leases, for which the ready deliveries were read."""
        self.signal = signals.deliver
        self.tasks = RunningTasks(asyncio.Event())  # `_finish` sets the signal when one ends

    async def tick(self) -> float | None:
        """Read the due deliveries and send them as slots allow; see `Loop`."""
        now = self._clock.now()
        self._finished.clear()
        self._queue.expire(now)
        await self._preempt_stale(now)
        self._use_lanes(self._leases.lanes())
        version = self._endpoints.version
        busy = self._queue.busy
        if version != self._endpoints_version:
            # Changed endpoints may change what is ready, and how much may be in flight.
            self._queue.clear()
            busy = frozenset()
        probes = self._probing.allowed(now)
        due = await self._store.due_deliveries(
            now,
            lanes=frozenset(self._lanes),
            per_endpoint=READY_PER_ENDPOINT,
            limit=READY_MAX,
            busy=busy,
            probes=probes,
            probes_alone=self._probing.alone,
        )
        if due.probes_put_off:
            self._probing.put_off()
        self._endpoints_version = version
        endpoints = [found for found in due.endpoints if not self._is_locked(found)]
        self._probing.sent(sum(found.endpoint.health.open for found in endpoints), now)
        for found in endpoints:
            # The result of the read may still have deliveries whose attempts ended during it.
            ready = [item for item in found.deliveries if not self._is_known(item.delivery)]
            self._queue.fill(found.endpoint, ready, self._clock.now())
        self._start_ready()
        self._rest(due.early)
        return self._seconds_until(due)

    def _is_locked(self, found: DueEndpoint) -> bool:
        """Return True if this process can't sign for the endpoint. It is read again after a pause.

        The pause uses no attempt. So the endpoint delays no other, however much waits for it.
        """
        endpoint = found.endpoint
        if not endpoint.locked:
            self._locked.discard(endpoint.id)
            return False
        self._queue.pause(endpoint.id, self._clock.now(), self._random)
        if endpoint.id not in self._locked:
            self._locked.add(endpoint.id)
            self._emit(EndpointLocked(endpoint))
        return True

    def _rest(self, early: Iterable[str]) -> None:
        """Let endpoints without due deliveries rest, in the background."""
        endpoint_ids = tuple(early)
        if endpoint_ids and not self._resting and not self.tasks.draining:
            self._resting = True
            self.tasks.spawn(self._rest_calmly(endpoint_ids), self._rested)

    async def _rest_calmly(self, endpoint_ids: Sequence[str]) -> None:
        await self._probing.calm(self._probing.deadline())
        await self._store.rest_endpoints(endpoint_ids)

    def _rested(self) -> None:
        self._resting = False

    def _use_lanes(self, lanes: Mapping[int, Lease]) -> None:
        """Forget deliveries that were read under other leases: other workers may have sent them."""
        if lanes != self._lanes:
            self._queue.clear()
            self._lanes = lanes

    def is_busy(self, lane: int) -> bool:
        """Return True if an attempt is in flight in this lane."""
        flights = self._in_flight.values()
        return any(lane_of(flight.due.delivery.endpoint_id) == lane for flight in flights)

    def _is_known(self, delivery: Delivery) -> bool:
        return delivery.id in self._in_flight or delivery.id in self._finished

    def _seconds_until(self, due: DueDeliveries) -> float | None:
        now = self._clock.now()
        instants = [
            flight.stale_at
            for flight in self._in_flight.values()
            if flight.preemptible and flight.stale_at > now
        ]
        instants += [at for at in (due.next_due_at, self._queue.paused_until) if at is not None]
        waits = [(instant - now) / 1000 for instant in instants]
        if due.left:
            waits.append(READ_AGAIN_SECONDS)
        if (batch := self._probing.seconds_left(now)) is not None:
            waits.append(batch)
        return max(0.0, min(waits)) if waits else None

    async def _preempt_stale(self, now: Instant) -> None:
        """Cut short the attempts that have hung for a while if their job's final event waits."""
        stale = [
            delivery_id
            for delivery_id, flight in self._in_flight.items()
            if flight.preemptible and now >= flight.stale_at
        ]
        if not stale:
            return
        for delivery_id in await self._store.ended_meanwhile(stale):
            flight = self._in_flight.get(delivery_id)
            # By now the attempt in flight may be for the final event itself.
            if flight is not None and flight.preemptible:
                flight.preempt()

    def _start_ready(self) -> None:
        """Start attempts at ready deliveries while slots are free. Endpoints take turns."""
        self._forget_changed()
        now = self._clock.now()
        while not self.tasks.draining and (due := self._queue.take(now)):
            self._traffic.note()
            self._start(due, now)
        if self._queue.has_probes and not self._sending_probes and not self.tasks.draining:
            self._sending_probes = True
            self.tasks.spawn(self._send_probes(), self._probes_sent)
        if self._queue.expired:
            self.signal.set()

    async def _send_probes(self) -> None:
        """Start the ready probes one by one, so that no other delivery waits for several."""
        deadline = self._probing.deadline()
        while not self.tasks.draining:
            await self._probing.calm(deadline)
            self._forget_changed()
            now = self._clock.now()
            due = self._queue.take_probe(now)
            if due is None:
                break
            self._start(due, now)
            await asyncio.sleep(PROBE_SECONDS)
        if self._queue.expired:
            self.signal.set()

    def _probes_sent(self) -> None:
        self._sending_probes = False

    def _forget_changed(self) -> None:
        """Forget ready deliveries if endpoints or leases have changed since they were read."""
        if self._endpoints_version != self._endpoints.version:
            self._queue.clear()  # nothing is sent with a secret that was just replaced
            self.signal.set()
        if self._lanes != self._leases.lanes():
            self._queue.clear()
            self.signal.set()

    def _start(self, due: DueDelivery, now: Instant) -> None:
        lease = self._lanes[lane_of(due.delivery.endpoint_id)]
        flight = InFlight(due, self._endpoints_version, lease, now)
        self._in_flight[due.delivery.id] = flight
        self.tasks.spawn(
            self._carry_out(flight), partial(self._finish, due), job=due.delivery.job_id
        )

    def _finish(self, due: DueDelivery) -> None:
        del self._in_flight[due.delivery.id]
        still_open = self._queue.queue(due.delivery.endpoint_id).endpoint.health.open
        if not still_open:
            self._traffic.note()
        self._finished.add(due.delivery.id)
        # The endpoint may have more. That of an open breaker is read with the next probes.
        if self._queue.release(due) and not (still_open and self._probing.reads_soon):
            self.signal.set()
        self._start_ready()

    async def _carry_out(self, flight: InFlight) -> None:
        """Send an event. If its job's final event preempts it, send that one at once."""
        while await self._is_current(flight) and not await self._attempts.make(flight):
            flight.version = None

    async def _is_current(self, flight: InFlight) -> bool:
        """Read a delivery again if endpoints have changed. Return True if it may still be sent.

        So no attempt that begins after a secret's rotation is signed with the old secret alone.
        """
        while flight.version != self._endpoints.version:
            flight.version = self._endpoints.version
            delivery = flight.due.delivery
            found = await self._store.due_delivery(delivery.id, self._clock.now())
            if found is None or self._queue.queue(delivery.endpoint_id).endpoint.held_back:
                return False
            if self._is_locked(found):
                return False
            self._queue.update(found.endpoint)
            (flight.due,) = found.deliveries
        return True
