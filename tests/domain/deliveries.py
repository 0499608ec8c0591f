"""Deliveries and answers for the tests."""

from random import Random

from reelhook.domain.delivery import Delivery, WebhookResponse
from reelhook.domain.event import EventKind
from reelhook.domain.schedule import RetrySchedule

from .samples import NOW

EMPTY = Delivery(1, "job_1", "url_1", "http://h/")
SCHEDULE = RetrySchedule((5, 30, 120))
OK, REFUSED, GONE = (WebhookResponse(duration_ms=1, status=status) for status in (204, 500, 410))
SILENT = WebhookResponse(duration_ms=1, error="timeout")
WISHING = WebhookResponse(duration_ms=1, status=429, retry_after_seconds=60)
PROGRESS, STATUS, TERMINAL = EventKind.PROGRESS, EventKind.STATUS, EventKind.TERMINAL


class NoJitter(Random):
    """Chance that adds nothing to any wait."""

    def random(self) -> float:
        return 0.0


def settle(
    delivery: Delivery,
    sequence: int,
    answer: WebhookResponse,
    now: int = NOW,
    *,
    probe: bool = False,
    schedule: RetrySchedule = SCHEDULE,
) -> Delivery:
    """Settle an attempt, no jitter added."""
    return delivery.settle(sequence, answer, now, probe=probe, schedule=schedule, random=NoJitter())


def offered(*kinds: EventKind) -> Delivery:
    """A delivery that was offered events of these kinds, 1 and up."""
    delivery = EMPTY
    for sequence, kind in enumerate(kinds, start=1):
        delivery = delivery.offer(sequence, kind, NOW)
    return delivery
