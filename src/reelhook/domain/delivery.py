"""Delivery: the cursor of one job's events at one endpoint."""

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from reelhook.domain.event import EventKind, Instant
from reelhook.domain.schedule import RETRY_AFTER_SECONDS_MAX, RetrySchedule

ATTEMPT_SECONDS = 15.0
PROGRESS_ATTEMPT_SECONDS = 5.0
STALE_ATTEMPT_SECONDS = 5.0
"""A terminal event aborts an attempt of an earlier event that is older than this."""


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """What one HTTP try brought. `status` None: no complete status line came.

    `error` is a stable class of failure, `detail` the words for a person, `body` at most the
    first 16 KiB of the answer. `unsent`: a limit of our own kept the request here, which says
    nothing about the receiver.
    """

    duration_ms: int
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    body: str = ""
    retry_after_seconds: float | None = None
    unsent: bool = False

    @property
    def succeeded(self) -> bool:
        """Only 2xx is success; a redirect is a failure and never followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """410: the receiver wants no more of this delivery."""
        return self.status == 410


class UndeliveredReason(StrEnum):
    """Why an event will not be sent any more without ever having arrived."""

    SUPERSEDED = "superseded"
    EXHAUSTED = "exhausted"
    GONE = "gone"


class Outcome(StrEnum):
    """How the last event that a delivery was through with ended."""

    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits for one endpoint of one job: at most one change of status and one of progress.

    A newer event supersedes what waits, so a slow receiver never builds a backlog; only progress
    never supersedes a change of status. `attempts` counts the tries of the next event, `due_at`
    is None when nothing waits, `not_before` is what the receiver's `Retry-After` asked for,
    `terminal_at` when the job ended whose end is what waits. `ended` after a 410. `url` is the
    job's own, None where the endpoint's holds. A resend is a delivery of one event, outside the
    order: `resend_of` is the delivery that it repeats.
    """

    id: int
    job_id: str
    endpoint_id: str
    url: str | None = None
    status_sequence: int | None = None
    progress_sequence: int | None = None
    attempts: int = 0
    due_at: Instant | None = None
    not_before: Instant | None = None
    terminal_at: Instant | None = None
    ended: bool = False
    resend_of: int | None = None
    outcome: Outcome | None = None
    delivered_sequence: int | None = None

    @property
    def next_sequence(self) -> int | None:
        """The event to send next. A waiting status change is always older than the progress."""
        return self.progress_sequence if self.status_sequence is None else self.status_sequence

    @property
    def state(self) -> str | None:
        """Return `waiting`, `ended`, `delivered`, `failed`, or None before the first event."""
        if self.ended:
            return "ended"
        if self.due_at is not None:
            return "waiting"
        match self.outcome:
            case Outcome.DELIVERED:
                return "delivered"
            case Outcome.EXHAUSTED:
                return "failed"
            case _:
                return None

    def is_retry_due(self, now: Instant) -> bool:
        """Whether the schedule asks for the next attempt of an event that was tried before."""
        return self.attempts > 0 and self.due_at is not None and self.due_at <= now

    def probe_at(self, probe_due_at: Instant) -> Instant:
        """Return when this delivery may go out while the breaker is open.

        Retries keep their schedule, so that a lone delivery has all of its attempts in time;
        probes go out between, as early as the receiver's `Retry-After` allows.
        """
        probe = max(probe_due_at, self.not_before or 0)
        retries = self.attempts > 0 and self.due_at is not None
        return min(self.due_at or probe, probe) if retries else probe

    def offer(self, sequence: int, kind: EventKind, now: Instant) -> "Delivery":
        """Take a new event in."""
        if self.ended:
            return self
        if kind is not EventKind.PROGRESS:
            return replace(
                self,
                status_sequence=sequence,
                progress_sequence=None,
                attempts=0,
                due_at=now,
                terminal_at=now if kind is EventKind.TERMINAL else None,
            )
        if self.status_sequence is not None:
            return replace(self, progress_sequence=sequence)
        due_at = max(now, self.not_before or 0)
        return replace(self, progress_sequence=sequence, attempts=0, due_at=due_at)

    def settle(
        self,
        sequence: int,
        answer: WebhookResponse,
        now: Instant,
        *,
        probe: bool,
        schedule: RetrySchedule,
        random: Random,
    ) -> "Delivery":
        """Take the answer to an attempt of event `sequence`.

        The event may have been superseded while its attempt was under way: then what waits now
        is already due. A probe burns no attempt; what it brings as `Retry-After` holds.
        """
        if answer.gone:
            return replace(self._idle(), ended=True, outcome=Outcome.GONE)
        heard = self._heard(sequence, answer, now)
        if sequence != self.next_sequence:
            return heard
        if answer.succeeded:
            return heard._past(sequence, now)
        if probe:
            return replace(heard, due_at=max(self.due_at or now, heard.not_before or 0))
        delay = schedule.delay_after(
            self.attempts + 1,
            progress=self.status_sequence is None,
            retry_after_seconds=answer.retry_after_seconds,
            random=random,
        )
        if delay is None:
            return replace(heard._past(sequence, now), outcome=Outcome.EXHAUSTED)
        return replace(heard, attempts=self.attempts + 1, due_at=now + round(delay * 1000))

    def dropped_by(self, after: "Delivery") -> tuple[int, ...]:
        """Return the events that waited here and no longer do in `after`."""
        waited = {self.status_sequence, self.progress_sequence}
        left = waited - {None, after.status_sequence, after.progress_sequence}
        return tuple(sorted(sequence for sequence in left if sequence is not None))

    def _heard(self, sequence: int, answer: WebhookResponse, now: Instant) -> "Delivery":
        """Keep what any answer tells: that an event arrived, or when to come again."""
        if answer.succeeded:
            arrived = max(sequence, self.delivered_sequence or 0)
            return replace(
                self, outcome=Outcome.DELIVERED, delivered_sequence=arrived, not_before=None
            )
        if answer.retry_after_seconds is None:
            return replace(self, not_before=None)
        wait = min(answer.retry_after_seconds, RETRY_AFTER_SECONDS_MAX)
        return replace(self, not_before=now + round(wait * 1000))

    def _past(self, sequence: int, now: Instant) -> "Delivery":
        """Be through with the event that was next; progress behind a change of status is due."""
        if self.status_sequence != sequence or self.progress_sequence is None:
            return self._idle()
        return replace(
            self,
            status_sequence=None,
            terminal_at=None,
            attempts=0,
            due_at=max(now, self.not_before or 0),
        )

    def _idle(self) -> "Delivery":
        return replace(
            self,
            status_sequence=None,
            progress_sequence=None,
            terminal_at=None,
            attempts=0,
            due_at=None,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP try of one event, as it is kept.

    `number` counts from 1 for each event; a `probe`, to see whether a receiver is back, does not
    count.
    """

    delivery_id: int
    event_id: str
    sequence: int
    number: int
    started_at: Instant
    answer: WebhookResponse
    probe: bool = False
