"""Deliver: sends what waits at each endpoint, in order per job, and records every attempt.

One attempt is under way per delivery, a few per endpoint, so that no receiver holds up another.
What is under way is known here alone; in the store it is simply still due, so that whoever comes
after a crash sends it again, with the same `webhook-id`.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from random import Random

import structlog

from reelhook.domain.delivery import ATTEMPT_SECONDS, PROGRESS_ATTEMPT_SECONDS, Attempt, Delivery
from reelhook.domain.event import Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.domain.signature import sign
from reelhook.engine.runner import Tasks
from reelhook.ports import Clock, DeliveryStore, DueDelivery, Sender, SignedRequest
from reelhook.signals import Signals

log = structlog.get_logger()
SLOTS = 256
SLOTS_PER_ENDPOINT = 4
READY_PER_ENDPOINT = 32
READY_MAX = 2048
READY_MILLISECONDS = 1000
"""How long what was read from the store may wait for a slot before it is read anew."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What webhooks are signed with; `previous` while a rotation lasts."""

    secret: str
    previous: str | None = None


class Deliver:
    """Sends webhooks."""

    name = "deliver"

    def __init__(
        self,
        store: DeliveryStore,
        sender: Sender,
        signals: Signals,
        *,
        secrets: Secrets,
        schedule: RetrySchedule,
        user_agent: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._signals = signals
        self._secrets = secrets
        self._schedule = schedule
        self._user_agent = user_agent
        self._clock = clock
        self._random = random
        self._sending: set[int] = set()
        self._finished: set[int] = set()
        self._ready: dict[str, deque[DueDelivery]] = {}
        self._turns: deque[str] = deque()
        self._read_at: dict[str, Instant] = {}
        """When what is ready was read, by endpoint."""
        self._at_endpoint: Counter[str] = Counter()
        self.signal = signals.deliver
        self.tasks = Tasks(asyncio.Event())  # the end of a task is `_finish`'s to tell

    async def tick(self) -> float | None:
        """Read what is due from the store and send it as slots allow; see `Loop`."""
        now = self._clock.now()
        self._finished.clear()
        self._drop_stale(now)
        due = await self._store.due_deliveries(
            now,
            per_endpoint=READY_PER_ENDPOINT + SLOTS_PER_ENDPOINT,  # some of it is under way
            limit=READY_MAX,
            busy=frozenset(self._ready),
        )
        for one in due.deliveries:
            # What ended while the store was being read may stand in the answer as still due.
            if one.delivery.id not in self._sending and one.delivery.id not in self._finished:
                self._ready.setdefault(one.delivery.endpoint_id, deque()).append(one)
                self._read_at[one.delivery.endpoint_id] = now
        self._turns = deque(self._ready)
        self._start_ready()
        if due.next_due_at is None:
            return None
        return max(0.0, (due.next_due_at - self._clock.now()) / 1000)

    def _drop_stale(self, now: Instant) -> None:
        """Forget what was read a while ago: a newer event may have superseded it."""
        for endpoint in [one for one in self._ready if self._is_stale(one, now)]:
            del self._ready[endpoint]
        self._read_at = {one: self._read_at[one] for one in self._ready}

    def _is_stale(self, endpoint: str, now: Instant) -> bool:
        return now - self._read_at[endpoint] > READY_MILLISECONDS

    def _start_ready(self) -> None:
        """Start what is ready, the endpoints in turn, as far as slots allow."""
        now = self._clock.now()
        while self._turns and len(self._sending) < SLOTS and not self.tasks.draining:
            endpoint = self._turns.popleft()
            if endpoint in self._ready and self._is_stale(endpoint, now):
                del self._ready[endpoint]
                self.signal.set()
            if self._at_endpoint[endpoint] >= SLOTS_PER_ENDPOINT or endpoint not in self._ready:
                continue
            due = self._ready[endpoint].popleft()
            if self._ready[endpoint]:
                self._turns.append(endpoint)
            else:
                del self._ready[endpoint]
            self._start(due)

    def _start(self, due: DueDelivery) -> None:
        delivery = due.delivery
        self._sending.add(delivery.id)
        self._at_endpoint[delivery.endpoint_id] += 1
        self.tasks.spawn(self._attempt(due), lambda: self._finish(delivery), job=delivery.job_id)

    def _finish(self, delivery: Delivery) -> None:
        self._sending.discard(delivery.id)
        self._finished.add(delivery.id)
        self._at_endpoint[delivery.endpoint_id] -= 1
        if not self._at_endpoint[delivery.endpoint_id]:
            del self._at_endpoint[delivery.endpoint_id]
        if delivery.endpoint_id in self._ready:
            self._turns.append(delivery.endpoint_id)
        else:
            self.signal.set()  # there may be more for this endpoint
        self._start_ready()

    async def _attempt(self, due: DueDelivery) -> None:
        delivery, event = due.delivery, due.event
        started_at = self._clock.now()
        answer = await self._sender.send(self._signed(due, started_at))
        attempt = Attempt(
            delivery_id=delivery.id,
            event_id=event.event_id,
            sequence=event.sequence,
            number=delivery.attempts + 1,
            started_at=started_at,
            answer=answer,
        )
        settled_at = self._clock.now()
        moved = await self._store.settle(
            attempt,
            lambda current: current.settle(
                event.sequence,
                answer,
                settled_at,
                schedule=self._schedule,
                random=self._random,
            ),
        )
        self._log(delivery, attempt, moved)

    def _signed(self, due: DueDelivery, now: int) -> SignedRequest:
        delivery = due.delivery
        progress = delivery.status_sequence is None
        headers = sign(
            due.event.body,
            message_id=due.event.event_id,
            now=now,
            secret=self._secrets.secret,
            previous=self._secrets.previous,
        )
        headers |= {"Content-Type": "application/json", "User-Agent": self._user_agent}
        return SignedRequest(
            url=delivery.url,
            body=due.event.body,
            headers=headers,
            trusted=delivery.trusted,
            timeout_seconds=PROGRESS_ATTEMPT_SECONDS if progress else ATTEMPT_SECONDS,
        )

    def _log(self, delivery: Delivery, attempt: Attempt, moved: Delivery) -> None:
        answer = attempt.answer
        ids = {
            "job": delivery.job_id,
            "delivery": delivery.id,
            "webhook_id": attempt.event_id,
            "attempt": attempt.number,
            "status": answer.status,
            "duration_ms": answer.duration_ms,
        }
        if answer.succeeded:
            log.debug(f"   Webhook sent: {delivery.url}", emoji="✅", **ids)
        else:
            log.warning(
                f"   Webhook failed: {delivery.url}",
                error=answer.error,
                detail=answer.detail,
                next_at=moved.due_at,
                **ids,
            )
