"""Deliver: sends what waits at each endpoint, in order per job, and records every attempt.

One attempt is under way per delivery, a few per endpoint (`turns`), so that no receiver holds up
another. What is under way is known here alone; in the store it is simply still due, so that
whoever comes after a crash sends it again, with the same `webhook-id`.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import structlog

from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.delivery import (
    ATTEMPT_SECONDS,
    PROGRESS_ATTEMPT_SECONDS,
    STALE_ATTEMPT_SECONDS,
    Attempt,
    Delivery,
    WebhookResponse,
)
from reelhook.domain.endpoint import Endpoint, EndpointKind, lane_of, shown_url
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.event import Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.delivering.fair_queue import SLOTS, FairQueue
from reelhook.engine.delivering.probing import Probing
from reelhook.engine.leases import Leases
from reelhook.engine.runner import RunningTasks
from reelhook.ports import (
    Clock,
    DeliveryStore,
    DueDeliveries,
    DueDelivery,
    Lease,
    Sender,
    Settlement,
    SignedRequest,
)

log = structlog.get_logger()
READY_PER_ENDPOINT = 100
"""Some of it is under way already. Several times what may be: few looks at a long queue."""
READY_MAX = 8 * SLOTS
RECORD_WAIT_SECONDS = 1.0
DURATION_MILLISECONDS_MAX = 2**31 - 1
"""What the column of an attempt holds: 24 days."""
LOOK_AGAIN_SECONDS = 0.05
"""Where there was more than one look reads. What is sent and ends has the rest read sooner."""
STALE_MILLISECONDS = round(STALE_ATTEMPT_SECONDS * 1000)


@dataclass(slots=True)
class InFlight:
    """An attempt that is under way. `limit` can cut it short.

    `version` counts the changes of endpoints by which it was read; None: read it again.
    """

    due: DueDelivery
    version: int | None
    lease: Lease
    started_at: Instant
    limit: asyncio.Timeout | None = None

    @property
    def may_be_outrun(self) -> bool:
        """Whether the job's end, once it waits, is worth more than this attempt.

        Progress has its own, shorter time.
        """
        delivery = self.due.delivery
        return delivery.status_sequence is not None and delivery.terminal_at is None


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
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._signals = signals
        self._leases = leases
        self._signing = signing
        self._schedule = schedule
        self._clock = clock
        self._random = random
        self._turns = FairQueue(concurrency)
        self._probing = Probing()
        self._resting = False
        self._probed: set[str] = set()
        """Endpoints that a probe has just failed at: nothing is due there for a while."""
        self._flights: dict[int, InFlight] = {}
        self._finished: set[int] = set()
        self._endpoints_version = 0
        self._lanes: Mapping[int, Lease] = {}
        """The lanes, and the leases, that what is ready was read under."""
        self.signal = signals.deliver
        self.tasks = RunningTasks(asyncio.Event())  # the end of a task is `_finish`'s to tell

    async def tick(self) -> float | None:
        """Read what is due from the store and send it as slots allow; see `Loop`."""
        now = self._clock.now()
        self._finished.clear()
        self._turns.tidy(now)
        await self._abort_outrun(now)
        self._go_by(self._leases.lanes())
        version, busy = self._signals.endpoints_version, self._turns.busy
        if version != self._endpoints_version:
            # What is ready, and how much may be under way, goes by what endpoints were.
            self._turns.clear()
            busy = frozenset()
        probes = self._probing.allowed(now)
        due = await self._store.due_deliveries(
            now,
            lanes=frozenset(self._lanes),
            per_endpoint=READY_PER_ENDPOINT,
            limit=READY_MAX,
            busy=busy,
            probes=probes,
        )
        self._endpoints_version = version
        self._probing.sent(sum(one.endpoint.health.open for one in due.endpoints), now)
        for found in due.endpoints:
            # What ended while the store was being read may stand in the answer as still due.
            ready = [one for one in found.deliveries if not self._is_known(one.delivery)]
            self._turns.put(found.endpoint, ready, self._clock.now())
        self._start_ready()
        self._rest(due.early)
        return self._seconds_until(due)

    def _rest(self, early: Iterable[str]) -> None:
        """Let endpoints rest that nothing is due for. Nobody waits for that."""
        endpoint_ids = tuple(self._probed.union(early))
        if endpoint_ids and not self._resting and not self.tasks.draining:
            self._resting = True
            self._probed.clear()
            self.tasks.spawn(self._store.rest_endpoints(endpoint_ids), self._rested)

    def _rested(self) -> None:
        self._resting = False

    def _go_by(self, lanes: Mapping[int, Lease]) -> None:
        """Forget what was read under other leases: others may have sent it meanwhile."""
        if lanes != self._lanes:
            self._turns.clear()
            self._lanes = lanes

    def is_busy(self, lane: int) -> bool:
        """Whether anything is under way in a lane."""
        flights = self._flights.values()
        return any(lane_of(flight.due.delivery.endpoint_id) == lane for flight in flights)

    def _is_known(self, delivery: Delivery) -> bool:
        return delivery.id in self._flights or delivery.id in self._finished

    def _seconds_until(self, due: DueDeliveries) -> float | None:
        now = self._clock.now()
        moments = [
            flight.started_at + STALE_MILLISECONDS
            for flight in self._flights.values()
            if flight.may_be_outrun and flight.started_at + STALE_MILLISECONDS > now
        ]
        moments += [at for at in (due.next_due_at, self._turns.paused_until) if at is not None]
        waits = [(moment - now) / 1000 for moment in moments]
        if due.left:
            waits.append(LOOK_AGAIN_SECONDS)
        if (batch := self._probing.seconds_left(now)) is not None:
            waits.append(batch)
        return max(0.0, min(waits)) if waits else None

    async def _abort_outrun(self, now: Instant) -> None:
        """Cut short attempts that have hung for a while when the end of their job waits."""
        old = [
            delivery_id
            for delivery_id, flight in self._flights.items()
            if flight.may_be_outrun and now - flight.started_at >= STALE_MILLISECONDS
        ]
        if not old:
            return
        for delivery_id in await self._store.ended_meanwhile(old):
            flight = self._flights.get(delivery_id)
            # By now the flight may carry the end itself.
            if flight is not None and flight.may_be_outrun and flight.limit is not None:
                flight.limit.reschedule(asyncio.get_running_loop().time())
                flight.limit = None  # once: until it has ended there may be another tick

    def _start_ready(self) -> None:
        """Start what is ready, the endpoints in turn, as far as slots allow."""
        if self._endpoints_version != self._signals.endpoints_version:
            self._turns.clear()  # nothing goes out with a secret that was just replaced
            self.signal.set()
        if self._lanes != self._leases.lanes():
            self._turns.clear()
            self.signal.set()
        now = self._clock.now()
        while not self.tasks.draining and (due := self._turns.take(now)):
            lease = self._lanes[lane_of(due.delivery.endpoint_id)]
            flight = InFlight(due, self._endpoints_version, lease, now)
            self._flights[due.delivery.id] = flight
            self.tasks.spawn(
                self._carry_out(flight), partial(self._finish, due), job=due.delivery.job_id
            )
        if self._turns.outdated:
            self.signal.set()

    def _finish(self, due: DueDelivery) -> None:
        del self._flights[due.delivery.id]
        self._finished.add(due.delivery.id)
        if self._turns.done(due):
            self.signal.set()  # there may be more for this endpoint
        self._start_ready()

    async def _carry_out(self, flight: InFlight) -> None:
        """Send an event; when the end of its job cut it short, send that at once."""
        while await self._is_current(flight) and not await self._attempt(flight):
            flight.version = None

    async def _is_current(self, flight: InFlight) -> bool:
        """Read again what was read before an endpoint changed; return whether it may still go.

        So no attempt that begins after a rotation is signed with the old secret alone.
        """
        while flight.version != self._signals.endpoints_version:
            flight.version = self._signals.endpoints_version
            due = flight.due.delivery
            following = await self._store.due_delivery(due.id, self._clock.now())
            if following is None or self._turns.line(due.endpoint_id).endpoint.held_back:
                return False
            self._turns.renew(following.endpoint)
            (flight.due,) = following.deliveries
        return True

    async def _attempt(self, flight: InFlight) -> bool:
        """Make one attempt and record it; return False when it was cut short."""
        delivery = flight.due.delivery
        if not self._leases.good(flight.lease):
            return True  # another worker's by now
        endpoint = self._turns.line(delivery.endpoint_id).endpoint
        flight.started_at = started_at = self._clock.now()
        probe = endpoint.health.open and not delivery.is_retry_due(started_at)
        begun = asyncio.get_running_loop().time()
        answer = await self._send(flight, self._request(flight.due, endpoint, started_at))
        outrun = answer is None
        now = self._clock.now()
        if answer is not None and answer.unsent:
            self._put_back(endpoint, delivery, answer, now)
            return True
        self._turns.sent(endpoint.id)
        if answer is None:
            answer = WebhookResponse(_since(begun), error="superseded", detail="The job has ended")
        attempt = _attempt(flight, answer, probe=probe)
        before = self._turns.line(endpoint.id).endpoint
        after = before
        if not outrun:
            after = before.answered(answer, now, probe=endpoint.health.open)
            self._keep(before, after)
        still_open = before.health.open and after.health.open
        if still_open:
            await self._probing.gather()
        moved = await self._settle(
            Settlement(
                attempt,
                lambda current: self._decide(current, attempt, endpoint.kind, now),
                None if after.same_health_as(before) else after,
                reopened=before.health.open and not after.health.open,
                lease=flight.lease,
            ),
            flight.lease,
        )
        if still_open:
            self._probed.add(endpoint.id)
        if moved is None:
            log.warning("delivery.lost", delivery=delivery.id, lease=flight.lease.id)
        else:
            _log(endpoint, delivery, attempt, moved)
        return not outrun

    def _put_back(
        self, endpoint: Endpoint, delivery: Delivery, answer: WebhookResponse, now: Instant
    ) -> None:
        """Leave a delivery due, since our own limit says nothing about its receiver."""
        self._turns.pause(endpoint.id, now, self._random)
        log.debug(
            f"   Webhook waits: {shown_url(delivery.url or endpoint.url)}",
            job=delivery.job_id,
            delivery=delivery.id,
            endpoint=endpoint.id,
            detail=answer.detail,
        )

    async def _settle(self, settlement: Settlement, lease: Lease) -> Delivery | None:
        """Record an attempt; while the store can't, as where its disk is full, nothing is sent
        again for want of a record.
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
        """Return the answer, or None when `limit` cut the attempt short."""
        try:
            async with asyncio.timeout(None) as flight.limit:
                return await self._sender.send(request)
        except TimeoutError:
            return None
        finally:
            flight.limit = None

    def _decide(
        self, current: Delivery, attempt: Attempt, kind: EndpointKind, now: Instant
    ) -> Delivery:
        if attempt.answer.gone and kind is not EndpointKind.URL:
            return current  # it ended the endpoint; what waits is kept for when it is enabled
        return current.settle(
            attempt.sequence,
            attempt.answer,
            now,
            probe=attempt.probe,
            schedule=self._schedule,
            random=self._random,
        )

    def _keep(self, before: Endpoint, after: Endpoint) -> None:
        """Go on with how the endpoint fares now, and tell what became of it."""
        self._turns.line(after.id).endpoint = after
        if after.held_back:
            self._turns.clear(after.id)
        url = shown_url(after.url)
        ids = {"endpoint": after.id, "url": url, "failures": after.health.failures}
        if after.disabled is not None and before.disabled is None:
            log.error(f"Endpoint disabled: {url}", reason=after.disabled.value, **ids)
        elif after.health.open and not before.health.open:
            log.warning(f"Endpoint fails, only probes go out: {url}", **ids)
        elif before.health.open and not after.health.open:
            log.info(f"Endpoint answers again: {url}", **ids)

    def _request(self, due: DueDelivery, endpoint: Endpoint, now: Instant) -> SignedRequest:
        progress = due.delivery.status_sequence is None
        return self._signing.request(
            endpoint,
            due.event.body,
            message_id=due.event.event_id,
            now=now,
            timeout_seconds=PROGRESS_ATTEMPT_SECONDS if progress else ATTEMPT_SECONDS,
            url=due.delivery.url,
        )


def _attempt(flight: InFlight, answer: WebhookResponse, *, probe: bool) -> Attempt:
    delivery, event = flight.due.delivery, flight.due.event
    return Attempt(
        delivery_id=delivery.id,
        event_id=event.event_id,
        sequence=event.sequence,
        number=delivery.attempts + 1,
        started_at=flight.started_at,
        answer=answer,
        probe=probe,
    )


def _since(begun: float) -> int:
    """Return the milliseconds since a moment of the loop's clock, which nobody sets."""
    taken = round((asyncio.get_running_loop().time() - begun) * 1000)
    return min(max(taken, 0), DURATION_MILLISECONDS_MAX)


def _log(endpoint: Endpoint, delivery: Delivery, attempt: Attempt, moved: Delivery) -> None:
    answer, url = attempt.answer, shown_url(delivery.url or endpoint.url)
    ids = {
        "job": delivery.job_id,
        "delivery": delivery.id,
        "endpoint": endpoint.id,
        "webhook_id": attempt.event_id,
        "attempt": attempt.number,
        "probe": attempt.probe,
        "status": answer.status,
        "duration_ms": answer.duration_ms,
    }
    if answer.succeeded:
        log.debug(f"   Webhook sent: {url}", emoji="✅", **ids)
    else:
        log.warning(
            f"   Webhook failed: {url}",
            error=answer.error,
            detail=answer.detail,
            next_at=moved.due_at,
            **ids,
        )
