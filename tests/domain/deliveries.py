"""Deliveries and answers for the tests."""

from reelhook.domain.delivery import Answer, Delivery
from reelhook.domain.event import EventKind
from reelhook.domain.schedule import RetrySchedule

from .samples import NOW, seeded

EMPTY = Delivery(1, "job_1", "http://h:80/", "http://h/", trusted=False)
SCHEDULE = RetrySchedule((5, 30, 120))
OK, REFUSED, GONE = (Answer(duration_ms=1, status=status) for status in (204, 500, 410))
SILENT = Answer(duration_ms=1, error="timeout")
WISHING = Answer(duration_ms=1, status=429, retry_after_seconds=60)
PROGRESS, STATUS, TERMINAL = EventKind.PROGRESS, EventKind.STATUS, EventKind.TERMINAL


def settle(delivery: Delivery, sequence: int, answer: Answer, now: int = NOW) -> Delivery:
    return delivery.settle(sequence, answer, now, schedule=SCHEDULE, random=seeded(1))


def offered(*kinds: EventKind) -> Delivery:
    delivery = EMPTY
    for sequence, kind in enumerate(kinds, start=1):
        delivery = delivery.offer(sequence, kind, NOW)
    return delivery
