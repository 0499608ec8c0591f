"""A delivery: the cursor of one job's events at one endpoint."""

from dataclasses import dataclass, field, replace
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
    """The result of one HTTP request. `status` None: no complete status line arrived.

    `error` is a stable class of failure, `detail` a message for a person, `body` at most the first
    16 KiB of the response. `unsent`: one of our limits stopped the request, so it says nothing
    about the receiver.
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
        """True only for 2xx. A redirect counts as a failure and is never followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """True for 410: the receiver wants no more events of this delivery."""
        return self.status == 410


class UndeliveredReason(StrEnum):
    """The reason why an event that never arrived will not be sent any more."""

    SUPERSEDED = "superseded"
    EXHAUSTED = "exhausted"
    GONE = "gone"


class Outcome(StrEnum):
    """The outcome of the last event that a delivery has finished."""

    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The waiting events of one job at one endpoint: at most one of status and one of progress.

    A newer event supersedes the waiting one, so a slow receiver builds no backlog. Progress never
    supersedes a change of status. `attempts` counts the attempts at the next event. `due_at` is
    None if nothing waits. `not_before` comes from the receiver's `Retry-After`. `terminal_at` is
    the end of the job, set only while its final event waits. `ended`: the receiver responded with
    410, and nothing more is sent.

    `url` is the job's own URL; None: the endpoint's applies. A resend is a delivery of one event,
    outside the order; `resend_of` is the delivery that it repeats.
    """

    id: int
    job_id: str
    endpoint_id: str
    url: str | None = field(default=None, repr=False)
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
        """The next event's sequence. A waiting change of status is always older than progress."""
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
        """Return True if an event that was tried before is due again by the schedule."""
        return self.attempts > 0 and self.due_at is not None and self.due_at <= now

    def probe_at(self, probe_due_at: Instant) -> Instant:
        """Return the time at which this delivery may be sent while the breaker is open.

        Retries keep their schedule, so a single delivery makes all of its attempts on time. Probes
        are sent between them, as early as the receiver's `Retry-After` allows.
        """
        probe = max(probe_due_at, self.not_before or 0)
        retries = self.attempts > 0 and self.due_at is not None
        return min(self.due_at or probe, probe) if retries else probe

    def offer(self, sequence: int, kind: EventKind, now: Instant) -> "Delivery":
        """Add a new event, which may supersede a waiting one."""
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
        response: WebhookResponse,
        now: Instant,
        *,
        probe: bool,
        schedule: RetrySchedule,
        random: Random,
    ) -> "Delivery":
        """Record the response to an attempt at event `sequence`.

        The event may have been superseded while its attempt was in flight; then the waiting event
        is already due. A probe uses up no attempt, but its `Retry-After` applies.
        """
        if response.gone:
            return replace(self._idle(), ended=True, outcome=Outcome.GONE)
        noted = self._noted(sequence, response, now)
        if sequence != self.next_sequence:
            return noted
        if response.succeeded:
            return noted._past(sequence, now)
        if probe:
            return replace(noted, due_at=max(self.due_at or now, noted.not_before or 0))
        delay = schedule.delay_after(
            self.attempts + 1,
            progress=self.status_sequence is None,
            retry_after_seconds=response.retry_after_seconds,
            random=random,
        )
        if delay is None:
            return replace(noted._past(sequence, now), outcome=Outcome.EXHAUSTED)
        return replace(noted, attempts=self.attempts + 1, due_at=now + round(delay * 1000))

    def dropped_by(self, after: "Delivery") -> tuple[int, ...]:
        """Return the events that wait here but no longer wait in `after`."""
        waited = {self.status_sequence, self.progress_sequence}
        left = waited - {None, after.status_sequence, after.progress_sequence}
        return tuple(sorted(sequence for sequence in left if sequence is not None))

    def _noted(self, sequence: int, response: WebhookResponse, now: Instant) -> "Delivery":
        """Keep the facts of a response: the event arrived, or when the next attempt may follow."""
        if response.succeeded:
            arrived = max(sequence, self.delivered_sequence or 0)
            return replace(
                self, outcome=Outcome.DELIVERED, delivered_sequence=arrived, not_before=None
            )
        if response.retry_after_seconds is None:
            return replace(self, not_before=None)
        wait = min(response.retry_after_seconds, RETRY_AFTER_SECONDS_MAX)
        return replace(self, not_before=now + round(wait * 1000))

    def _past(self, sequence: int, now: Instant) -> "Delivery":
        """Finish the next event; progress that waits after a change of status is then due."""
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
    """A stored attempt to send one event.

    `number` counts from 1 for each event. A `probe` only tests whether the receiver has recovered,
    and is not counted.
    """

    delivery_id: int
    event_id: str
    sequence: int
    number: int
    started_at: Instant
    response: WebhookResponse
    probe: bool = False
