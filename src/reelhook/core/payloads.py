"""The formats of webhook bodies, each of which renders events as one door's clients read them.

Each format belongs to a door, which alone knows its field names. The composition root chooses.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.domain.endpoint import DEFAULT_FORMAT, EventName, name_of
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.domain.notice import BudgetNotice
from reelhook.domain.problem import Problem

FormatHeaders = Callable[[bytes, str, Instant], Mapping[str, str]]
"""Returns the headers that a format adds to one attempt, from the body, the secret and the time."""


class PayloadFormat(Protocol):
    """Renders webhook bodies. Pure: the same event always gives the same bytes."""

    events: frozenset[EventName]
    """The events that it reports. Others are not sent in it."""

    def body(self, job: Job, event: Event) -> bytes:
        """Return the body that reports an event of a job."""
        ...

    def test_body(self, message_id: str, now: Instant) -> bytes:
        """Return the body of a test webhook. It belongs to no job."""
        ...


class DefaultFormat(PayloadFormat, Protocol):
    """The format of feeds and streams, and of webhooks for which no other was chosen."""

    def notice_body(self, notice: BudgetNotice) -> bytes:
        """Return the body that reports an event of no job."""
        ...


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of an installation: the default one, and others by name."""

    default: DefaultFormat
    others: Mapping[str, PayloadFormat] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a caller may choose from."""
        return (DEFAULT_FORMAT, *self.others)

    def of(self, name: str) -> PayloadFormat:
        """Return the format of this name, or the default one if it does not exist here."""
        return self.others.get(name, self.default)

    def body(self, job: Job, name: str, event: Event) -> bytes | None:
        """Return the body of an event in the format of this name; None: it does not report it."""
        chosen = self.of(name)
        return chosen.body(job, event) if name_of(event) in chosen.events else None

    def check(self, name: str, field_name: str = "format") -> None:
        """Raise `InvalidRequestError` for a field unless there is a format of this name."""
        if name not in self.names:
            raise InvalidRequestError(
                field_name, Problem.NOT_ONE_OF, allowed=self.names, value=name or "empty"
            )

    def check_events(self, name: str, events: Collection[EventName]) -> None:
        """Raise `InvalidRequestError` for an event that the format of this name does not report."""
        reported = sorted(self.of(name).events)
        for event in sorted(events):
            if event not in reported:
                allowed = tuple(reported)
                raise InvalidRequestError(
                    "events", Problem.NOT_IN_FORMAT, allowed=allowed, value=event, name=name
                )
