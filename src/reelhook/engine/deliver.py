"""Deliver: sends what waits at each endpoint, in order per job, and records every attempt.

One attempt is under way per delivery, a few per endpoint, so that no receiver holds up another.
What is under way is known here alone; in the store it is simply still due, so that whoever comes
after a crash sends it again, with the same `webhook-id`.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random

import structlog

from reelhook.domain.delivery import ATTEMPT_SECONDS, PROGRESS_ATTEMPT_SECONDS, Attempt, Delivery
from reelhook.domain.schedule import RetrySchedule
from reelhook.domain.signature import sign
from reelhook.engine.runner import Tasks
from reelhook.ports import Clock, DeliveryStore, DueDelivery, Sender, SignedRequest
from reelhook.signals import Signals

log = structlog.get_logger()
SLOTS = 256
SLOTS_PER_ENDPOINT = 4


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
        self._at_endpoint: Counter[str] = Counter()
        self.signal = signals.deliver
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Send what is due, as far as there are free slots; see `Loop`."""
        free = SLOTS - len(self._sending)
        if free <= 0:
            return None
        now = self._clock.now()
        self._finished.clear()
        busy = frozenset(e for e, n in self._at_endpoint.items() if n >= SLOTS_PER_ENDPOINT)
        due = await self._store.due_deliveries(
            now,
            per_endpoint=2 * SLOTS_PER_ENDPOINT,  # what is being sent is still due as well
            limit=free + len(self._sending),
            busy=busy,
        )
        for one in due.deliveries:
            self._start(one.delivery, one)
        if due.next_due_at is None:
            return None
        return max(0.0, (due.next_due_at - self._clock.now()) / 1000)

    def _start(self, delivery: Delivery, due: DueDelivery) -> None:
        full = len(self._sending) >= SLOTS
        full = full or self._at_endpoint[delivery.endpoint_id] >= SLOTS_PER_ENDPOINT
        # What ended while the store was being read may stand in the answer as still due.
        if full or delivery.id in self._sending or delivery.id in self._finished:
            return
        self._sending.add(delivery.id)
        self._at_endpoint[delivery.endpoint_id] += 1
        self.tasks.spawn(self._attempt(due), lambda: self._finish(delivery), job=delivery.job_id)

    def _finish(self, delivery: Delivery) -> None:
        self._sending.discard(delivery.id)
        self._finished.add(delivery.id)
        self._at_endpoint[delivery.endpoint_id] -= 1
        if not self._at_endpoint[delivery.endpoint_id]:
            del self._at_endpoint[delivery.endpoint_id]

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
            log.debug(f"   ✅ Webhook sent: {delivery.url}", **ids)
        else:
            log.warning(
                f"   Webhook failed: {delivery.url}",
                error=answer.error,
                detail=answer.detail,
                next_at=moved.due_at,
                **ids,
            )
