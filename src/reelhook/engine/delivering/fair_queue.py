"""Turns: who may be sent to next, so that no receiver holds up another.

Endpoints take turns; each has a few requests under way at most, and half of all slots are kept
for first attempts. What is ready here was read from the store a moment ago.
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
"""How long what was read from the store may wait for a slot before it is read anew."""
PAUSE_MILLISECONDS_MIN = 2_000
PAUSE_MILLISECONDS_MAX = 60_000
"""How long an endpoint waits that could not be sent to for want of resources here."""


@dataclass(slots=True)
class EndpointQueue:
    """What waits at one endpoint, and how much is under way there.

    The endpoint's health is kept here as long as anything is under way: the store has it later.
    """

    endpoint: Endpoint
    ready: deque[DueDelivery] = field(default_factory=deque)
    read_at: Instant = 0
    under_way: int = 0
    in_turn: bool = False
    """Whether it stands in the order already."""
    done_in: int = 0
    """The last look at the store during which something ended here."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of an endpoint's; the next one in a row is twice as long."""

    until: Instant
    milliseconds: int


def is_retry(delivery: Delivery) -> bool:
    """Whether this is no first attempt: it may take no more than half of the slots."""
    return delivery.attempts > 0 or delivery.resend_of is not None


class FairQueue:
    """The lines of all endpoints. `concurrency` is the limit of an endpoint that has no own."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._lines: dict[str, EndpointQueue] = {}
        self._order: deque[str] = deque()
        self._held_back: list[EndpointQueue] = []
        """Lines with nothing but retries, while those have all of their slots."""
        self._windows: dict[str, tuple[Instant, tuple[Bucket, ...]]] = {}
        """The last answers of endpoints that nothing is under way to; the store keeps none."""
        self._pauses: dict[str, Pause] = {}
        self._paused: set[str] = set()
        """The endpoints whose pause was not over at the last look."""
        self._under_way = 0
        self._retries: set[int] = set()
        """The deliveries under way that took a slot of the retries' half."""
        self._looks = 0
        self.outdated = False
        """Whether something that was ready is to be read anew before it can be sent."""

    def line(self, endpoint_id: str) -> EndpointQueue:
        """Return the line of an endpoint that something is under way to."""
        return self._lines[endpoint_id]

    @property
    def busy(self) -> frozenset[str]:
        """The endpoints for which nothing needs to be read now."""
        return frozenset(self._paused).union(
            endpoint_id
            for endpoint_id, line in self._lines.items()
            if self._is_full(line) or self._first_allowed(line) is not None
        )

    @property
    def paused_until(self) -> Instant | None:
        """When the first pause is over."""
        ends = (self._pauses[endpoint_id].until for endpoint_id in self._paused)
        return min(ends, default=None)

    def pause(self, endpoint_id: str, now: Instant, random: Random) -> None:
        """Send nothing to an endpoint for a while: nothing could be sent for want of resources.

        It costs no attempt, and in the store all stays due.
        """
        last = self._pauses.get(endpoint_id)
        if last is not None and now < last.until:
            return  # another request that was under way to it
        wait = PAUSE_MILLISECONDS_MIN if last is None else last.milliseconds * 2
        wait = min(wait, PAUSE_MILLISECONDS_MAX)
        # Chance keeps those apart that were paused at once.
        until = now + wait + round(random.random() * wait)
        self._pauses[endpoint_id] = Pause(until, wait)
        self._paused.add(endpoint_id)
        self.clear(endpoint_id)

    def sent(self, endpoint_id: str) -> None:
        """Note that an endpoint could be sent to."""
        self._pauses.pop(endpoint_id, None)
        self._paused.discard(endpoint_id)

    def tidy(self, now: Instant) -> None:
        """Forget what was read a while ago, since a newer event may have superseded it."""
        self.outdated = False
        self._looks += 1
        for line in self._lines.values():
            if now - line.read_at > READY_MILLISECONDS:
                line.ready.clear()
        self._forget_idle(now)
        self._end_pauses(now)
        self._order.clear()
        self._held_back = []
        for line in self._lines.values():
            line.in_turn = False
            self._enqueue(line)

    def _forget_idle(self, now: Instant) -> None:
        for line in list(self._lines.values()):
            if not line.ready and not line.under_way:
                del self._lines[line.endpoint.id]
                self._windows[line.endpoint.id] = (now, line.endpoint.health.window)
        while self._windows:
            oldest, (since, _) = next(iter(self._windows.items()))
            if now - since < WINDOW_MILLISECONDS:
                break
            del self._windows[oldest]

    def _end_pauses(self, now: Instant) -> None:
        self._pauses = {
            endpoint_id: one
            for endpoint_id, one in self._pauses.items()
            if now < one.until + PAUSE_MILLISECONDS_MAX  # a while longer its length is remembered
        }
        # Where the clock was set back the moment lies too far ahead.
        self._paused = {
            one
            for one, pause in self._pauses.items()
            if now < pause.until <= now + 2 * PAUSE_MILLISECONDS_MAX
        }

    def clear(self, endpoint_id: str | None = None) -> None:
        """Forget what is ready at an endpoint, or at all: it must be read anew."""
        for line in self._lines.values():
            if endpoint_id in {None, line.endpoint.id}:
                line.ready.clear()

    def renew(self, endpoint: Endpoint) -> None:
        """Go by an endpoint as it was just read; of its health more may be known here."""
        line = self._lines[endpoint.id]
        health = line.endpoint.health
        if endpoint.health_version != line.endpoint.health_version:
            health = endpoint.health  # it was reset: what was found before counts no longer
        elif not self._knows_more(line):
            health = replace(endpoint.health, window=health.window)
        line.endpoint = replace(endpoint, health=health)

    def put(self, endpoint: Endpoint, deliveries: Iterable[DueDelivery], now: Instant) -> None:
        """Make what was read ready to be sent."""
        line = self._lines.get(endpoint.id) or self._new_line(endpoint)
        reset = endpoint.health_version != line.endpoint.health_version
        closed = line.endpoint.held_back and not endpoint.held_back
        if self._knows_more(line) and closed and not reset:
            return  # that happened while the store was read: `done` has it read again
        self.renew(endpoint)
        line.ready = deque(deliveries)
        line.read_at = now
        self._enqueue(line)

    def _knows_more(self, line: EndpointQueue) -> bool:
        """Whether answers came, or may come, that the last look at the store has not seen."""
        return line.under_way > 0 or line.done_in == self._looks

    def _new_line(self, endpoint: Endpoint) -> EndpointQueue:
        _, window = self._windows.pop(endpoint.id, (0, ()))
        line = EndpointQueue(replace(endpoint, health=replace(endpoint.health, window=window)))
        self._lines[endpoint.id] = line
        return line

    def take(self, now: Instant) -> DueDelivery | None:
        """Return what is to be sent next, counted as under way from now on, or None."""
        while self._order and self._under_way < SLOTS:
            line = self._lines[self._order.popleft()]
            line.in_turn = False
            if line.ready and now - line.read_at > READY_MILLISECONDS:
                line.ready.clear()
                self.outdated = True
            if not line.ready or self._is_full(line):
                continue  # `done` or `put` brings it back
            due = self._first_allowed(line)
            if due is None:
                self._held_back.append(line)
                continue
            line.ready.remove(due)
            line.under_way += 1
            self._under_way += 1
            if self._is_retry(line, due):
                self._retries.add(due.delivery.id)
            self._enqueue(line)
            return due
        return None

    def _enqueue(self, line: EndpointQueue) -> None:
        if line.ready and not line.in_turn and not self._is_full(line):
            line.in_turn = True
            self._order.append(line.endpoint.id)

    def _first_allowed(self, line: EndpointQueue) -> DueDelivery | None:
        """Return what may go next: nothing but first attempts while retries have their slots."""
        if len(self._retries) < RETRY_SLOTS:
            return line.ready[0] if line.ready else None
        return next((due for due in line.ready if not self._is_retry(line, due)), None)

    @staticmethod
    def _is_retry(line: EndpointQueue, due: DueDelivery) -> bool:
        """Probes share the slots of retries: first attempts at healthy receivers keep theirs."""
        return is_retry(due.delivery) or line.endpoint.health.open

    def done(self, due: DueDelivery) -> bool:
        """Give the slot back; return whether more must be read for this endpoint."""
        line = self._lines[due.delivery.endpoint_id]
        line.under_way -= 1
        line.done_in = self._looks
        self._under_way -= 1
        if due.delivery.id in self._retries:
            self._retries.remove(due.delivery.id)
            held_back, self._held_back = self._held_back, []
            for one in held_back:
                self._enqueue(one)
        self._enqueue(line)
        return not line.ready

    def _is_full(self, line: EndpointQueue) -> bool:
        if line.endpoint.id in self._paused:
            return True
        limit = line.endpoint.concurrency or self._concurrency
        return line.under_way >= line.endpoint.health.allowed(limit)
