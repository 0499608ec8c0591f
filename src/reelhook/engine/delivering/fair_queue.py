"""The queue of deliveries that are ready to be sent, in which no receiver holds up another.

Endpoints take turns. Each has at most a few requests in flight, and half of all slots are kept for
first attempts. Endpoints with an open breaker have a separate order, since probes are paced. Ready
deliveries were read from the store a short time ago.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from reelhook.domain.breaker import WINDOW_MILLISECONDS, Bucket
from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.ports import DueDelivery

SLOTS = 256
RETRY_SLOTS = SLOTS // 2
READY_MILLISECONDS = 1000
"""The time after which a delivery that still waits for a slot is read from the store again."""
PAUSE_MILLISECONDS_MIN = 2_000
PAUSE_MILLISECONDS_MAX = 60_000
"""The longest pause of an endpoint after this process lacked the resources to send to it."""


@dataclass(slots=True)
class EndpointQueue:
    """The ready deliveries of one endpoint, and the number in flight.

    While anything is in flight, `endpoint` has the latest health; the store gets it later.
    """

    endpoint: Endpoint
    ready: deque[DueDelivery] = field(default_factory=deque)
    read_at: Instant = 0
    in_flight: int = 0
    in_order: bool = False
    """True while the endpoint waits for its turn."""
    released_in: int = 0
    """The last read of the store during which an attempt ended here."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of an endpoint. The next consecutive one is twice as long."""

    until: Instant
    milliseconds: int


def is_retry(delivery: Delivery) -> bool:
    """Return True if this is not a first attempt. Retries get at most half of the slots."""
    return delivery.attempts > 0 or delivery.resend_of is not None


class FairQueue:
    """The queues of all endpoints. `concurrency` applies to endpoints without their own limit."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._queues: dict[str, EndpointQueue] = {}
        self._order: deque[str] = deque()
        self._probe_order: deque[str] = deque()
        """The order of the endpoints with an open breaker."""
        self._held_back: list[EndpointQueue] = []
        """Queues that have only retries, while all slots for retries are taken."""
        self._windows: dict[str, tuple[Instant, tuple[Bucket, ...]]] = {}
        """The recent responses of idle endpoints. The store does not keep them."""
        self._pauses: dict[str, Pause] = {}
        self._paused: set[str] = set()
        """The endpoints that were paused at the last read of the store."""
        self._in_flight = 0
        self._retries: set[int] = set()
        """The deliveries in flight that occupy slots for retries."""
        self._reads = 0
        self.expired = False
        """True if a delivery that was ready must be read again before it can be sent."""

    def queue(self, endpoint_id: str) -> EndpointQueue:
        """Return the queue of an endpoint that has something in flight."""
        return self._queues[endpoint_id]

    @property
    def busy(self) -> frozenset[str]:
        """The endpoints for which nothing needs to be read now."""
        return frozenset(self._paused).union(
            endpoint_id
            for endpoint_id, queue in self._queues.items()
            if self._is_full(queue) or self._first_allowed(queue) is not None
        )

    @property
    def paused_until(self) -> Instant | None:
        """The time at which the next pause ends."""
        ends = (self._pauses[endpoint_id].until for endpoint_id in self._paused)
        return min(ends, default=None)

    def pause(self, endpoint_id: str, now: Instant, random: Random) -> None:
        """Send nothing to an endpoint for a while, because this process lacks resources.

        This costs no attempt. In the store everything stays due.
        """
        last = self._pauses.get(endpoint_id)
        if last is not None and now < last.until:
            return  # another request was in flight to it
        wait = PAUSE_MILLISECONDS_MIN if last is None else last.milliseconds * 2
        wait = min(wait, PAUSE_MILLISECONDS_MAX)
        # Jitter separates endpoints that were paused at the same time.
        until = now + wait + round(random.random() * wait)
        self._pauses[endpoint_id] = Pause(until, wait)
        self._paused.add(endpoint_id)
        self.clear(endpoint_id)

    def end_pause(self, endpoint_id: str) -> None:
        """Record that requests to an endpoint can be sent again."""
        self._pauses.pop(endpoint_id, None)
        self._paused.discard(endpoint_id)

    def expire(self, now: Instant) -> None:
        """Forget deliveries that were read a while ago: newer events may have superseded theirs.

        Called before each read of the store.
        """
        self.expired = False
        self._reads += 1
        for queue in self._queues.values():
            if now - queue.read_at > READY_MILLISECONDS:
                queue.ready.clear()
        self._forget_idle(now)
        self._expire_pauses(now)
        self._order.clear()
        self._probe_order.clear()
        self._held_back = []
        for queue in self._queues.values():
            queue.in_order = False
            self._enqueue(queue)

    def _forget_idle(self, now: Instant) -> None:
        for queue in list(self._queues.values()):
            if not queue.ready and not queue.in_flight:
                del self._queues[queue.endpoint.id]
                self._windows[queue.endpoint.id] = (now, queue.endpoint.health.window)
        while self._windows:
            oldest, (since, _) = next(iter(self._windows.items()))
            if now - since < WINDOW_MILLISECONDS:
                break
            del self._windows[oldest]

    def _expire_pauses(self, now: Instant) -> None:
        self._pauses = {
            endpoint_id: pause
            for endpoint_id, pause in self._pauses.items()
            if now < pause.until + PAUSE_MILLISECONDS_MAX  # the next one depends on its length
        }
        # An end too far ahead shows that the clock was set back.
        self._paused = {
            endpoint_id
            for endpoint_id, pause in self._pauses.items()
            if now < pause.until <= now + 2 * PAUSE_MILLISECONDS_MAX
        }

    def clear(self, endpoint_id: str | None = None) -> None:
        """Forget the ready deliveries of an endpoint, or of all. They must be read again."""
        for queue in self._queues.values():
            if endpoint_id in {None, queue.endpoint.id}:
                queue.ready.clear()

    def update(self, endpoint: Endpoint) -> None:
        """Use an endpoint that was just read, but keep its health if that is newer here."""
        queue = self._queues[endpoint.id]
        health = queue.endpoint.health
        if endpoint.health_version != queue.endpoint.health_version:
            health = endpoint.health  # it was reset: earlier responses no longer count
        elif not self._is_newer(queue):
            health = replace(endpoint.health, window=health.window)
        queue.endpoint = replace(endpoint, health=health)

    def fill(self, endpoint: Endpoint, deliveries: Iterable[DueDelivery], now: Instant) -> None:
        """Make the deliveries that were read for an endpoint ready to be sent."""
        queue = self._queues.get(endpoint.id) or self._new_queue(endpoint)
        reset = endpoint.health_version != queue.endpoint.health_version
        closed = queue.endpoint.held_back and not endpoint.held_back
        if self._is_newer(queue) and closed and not reset:
            return  # it was held back during the read; `release` asks for another read
        self.update(endpoint)
        queue.ready = deque(deliveries)
        queue.read_at = now
        self._enqueue(queue)

    def _is_newer(self, queue: EndpointQueue) -> bool:
        """Return True if this queue may know of responses that the last read did not see."""
        return queue.in_flight > 0 or queue.released_in == self._reads

    def _new_queue(self, endpoint: Endpoint) -> EndpointQueue:
        _, window = self._windows.pop(endpoint.id, (0, ()))
        queue = EndpointQueue(replace(endpoint, health=replace(endpoint.health, window=window)))
        self._queues[endpoint.id] = queue
        return queue

    @property
    def has_probes(self) -> bool:
        """True if `take_probe` may return a delivery."""
        return bool(self._probe_order)

    def take(self, now: Instant) -> DueDelivery | None:
        """Return the next delivery to send, or None. It counts as in flight from now on.

        Endpoints with an open breaker are left to `take_probe`.
        """
        return self._take(self._order, now)

    def take_probe(self, now: Instant) -> DueDelivery | None:
        """Do the same as `take` for endpoints with an open breaker."""
        return self._take(self._probe_order, now)

    def _take(self, order: deque[str], now: Instant) -> DueDelivery | None:
        while order and self._in_flight < SLOTS:
            queue = self._queues[order.popleft()]
            queue.in_order = False
            if queue.ready and now - queue.read_at > READY_MILLISECONDS:
                queue.ready.clear()
                self.expired = True
            if not queue.ready or self._is_full(queue):
                continue  # `release` or `fill` brings it back
            due = self._first_allowed(queue)
            if due is None:
                self._held_back.append(queue)
                continue
            queue.ready.remove(due)
            queue.in_flight += 1
            self._in_flight += 1
            if self._is_retry(queue, due):
                self._retries.add(due.delivery.id)
            self._enqueue(queue)
            return due
        return None

    def _enqueue(self, queue: EndpointQueue) -> None:
        if queue.ready and not queue.in_order and not self._is_full(queue):
            queue.in_order = True
            order = self._probe_order if queue.endpoint.health.open else self._order
            order.append(queue.endpoint.id)

    def _first_allowed(self, queue: EndpointQueue) -> DueDelivery | None:
        """Return the first delivery, or the first new one if all slots for retries are taken."""
        if len(self._retries) < RETRY_SLOTS:
            return queue.ready[0] if queue.ready else None
        return next((due for due in queue.ready if not self._is_retry(queue, due)), None)

    @staticmethod
    def _is_retry(queue: EndpointQueue, due: DueDelivery) -> bool:
        """Return True for retries and probes: first attempts at healthy receivers keep slots."""
        return is_retry(due.delivery) or queue.endpoint.health.open

    def release(self, due: DueDelivery) -> bool:
        """Give a slot back. Return True if more must be read for the endpoint."""
        queue = self._queues[due.delivery.endpoint_id]
        queue.in_flight -= 1
        queue.released_in = self._reads
        self._in_flight -= 1
        if due.delivery.id in self._retries:
            self._retries.remove(due.delivery.id)
            held_back, self._held_back = self._held_back, []
            for waiting in held_back:
                self._enqueue(waiting)
        self._enqueue(queue)
        return not queue.ready

    def _is_full(self, queue: EndpointQueue) -> bool:
        if queue.endpoint.id in self._paused:
            return True
        limit = queue.endpoint.concurrency or self._concurrency
        return queue.in_flight >= queue.endpoint.health.allowed(limit)
