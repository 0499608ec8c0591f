"""Delivery: the cursor of one job's events at one endpoint."""

from dataclasses import dataclass, replace
from random import Random
from urllib.parse import urlsplit
from zlib import crc32

from reelhook.domain.event import EventKind, Instant
from reelhook.domain.schedule import RetrySchedule

ATTEMPT_SECONDS = 15.0
PROGRESS_ATTEMPT_SECONDS = 5.0
LANES = 16
"""Shares of the endpoints; the unit that workers lease. Changing it needs a migration."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one HTTP try brought. `status` None: no complete status line came.

    `error` is a stable class of failure, `detail` the words for a person, `body` at most the
    first 16 KiB of the answer.
    """

    duration_ms: int
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    body: str = ""
    retry_after_seconds: float | None = None

    @property
    def succeeded(self) -> bool:
        """Only 2xx is success; a redirect is a failure and never followed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """410: the receiver wants no more of this delivery."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits for one endpoint of one job: at most one change of status and one of progress.

    A newer event supersedes what waits, so a slow receiver never builds a backlog; only progress
    never supersedes a change of status. `attempts` counts the tries of the next event,
    `due_at` is None when nothing waits, `ended` after a 410.
    """

    id: int
    job_id: str
    endpoint_id: str
    url: str
    trusted: bool
    status_sequence: int | None = None
    progress_sequence: int | None = None
    attempts: int = 0
    due_at: Instant | None = None
    ended: bool = False

    @property
    def next_sequence(self) -> int | None:
        """The event to send next. A waiting status change is always older than the progress."""
        return self.progress_sequence if self.status_sequence is None else self.status_sequence

    def offer(self, sequence: int, kind: EventKind, now: Instant) -> "Delivery":
        """Take a new event in."""
        if self.ended:
            return self
        if kind is not EventKind.PROGRESS:
            return replace(
                self, status_sequence=sequence, progress_sequence=None, attempts=0, due_at=now
            )
        if self.status_sequence is not None:
            return replace(self, progress_sequence=sequence)
        return replace(self, progress_sequence=sequence, attempts=0, due_at=now)

    def settle(
        self,
        sequence: int,
        answer: Answer,
        now: Instant,
        *,
        schedule: RetrySchedule,
        random: Random,
    ) -> "Delivery":
        """Take the answer to an attempt of event `sequence`.

        The event may have been superseded while its attempt was under way: then what waits now
        is already due.
        """
        if answer.gone:
            return replace(
                self, status_sequence=None, progress_sequence=None, due_at=None, ended=True
            )
        if sequence != self.next_sequence:
            return self
        delay = None
        if not answer.succeeded:
            delay = schedule.delay_after(
                self.attempts + 1,
                progress=self.status_sequence is None,
                retry_after_seconds=answer.retry_after_seconds,
                random=random,
            )
        if delay is None:
            return self._past(sequence, now)
        due_at = now + round(delay * 1000)
        return replace(self, attempts=self.attempts + 1, due_at=due_at)

    def _past(self, sequence: int, now: Instant) -> "Delivery":
        status = None if self.status_sequence == sequence else self.status_sequence
        progress = None if self.progress_sequence == sequence else self.progress_sequence
        waits = status is not None or progress is not None
        return replace(
            self,
            status_sequence=status,
            progress_sequence=progress,
            attempts=0,
            due_at=now if waits else None,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP try of one event, as it is kept. `number` counts from 1 for each event."""

    delivery_id: int
    event_id: str
    sequence: int
    number: int
    started_at: Instant
    answer: Answer


def endpoint_id(url: str) -> str:
    """Return the identity of the endpoint behind a per-job URL.

    Endpoints are told apart by scheme, host, port and path: a per-job query makes no new one.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}{parts.path or '/'}"


def lane_of(endpoint: str) -> int:
    """Return the lane, 0..LANES-1, that an endpoint belongs to."""
    return crc32(endpoint.encode()) % LANES
