"""The port through which a format renders webhook bodies.

Each format belongs to a door, which alone knows its field names. The composition root chooses.
"""

from typing import Protocol

from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.domain.notice import BudgetNotice


class PayloadFormat(Protocol):
    """Renders webhook bodies. Pure: the same event always gives the same bytes."""

    def body(self, job: Job, event: Event) -> bytes:
        """Return the body that reports an event of a job."""
        ...

    def notice_body(self, notice: BudgetNotice) -> bytes:
        """Return the body that reports an event of no job."""
        ...

    def test_body(self, message_id: str, now: Instant) -> bytes:
        """Return the body of a test webhook. It belongs to no job."""
        ...
