"""Event: an immutable fact about a job, which webhooks report."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

Instant = int
"""A point in time: milliseconds since the Unix epoch, UTC."""
DAY_MILLISECONDS = 24 * 3600 * 1000
ID_DIGEST_BYTES = 6
"""The length of the content's digest in an event's id."""


class EventKind(StrEnum):
    """The kind of an event, which decides which events it supersedes; see `Delivery.offer`."""

    PROGRESS = "progress"
    STATUS = "status"
    TERMINAL = "terminal"
    FALLBACK = "fallback"
    """Another model is tried. The event is kept in the job's history but not sent: a job's webhooks
    begin once a provider has the job."""
    RECOVERED = "recovered"
    """The video of a failed job has turned up at its provider."""
    ARCHIVE_FAILED = "archive_failed"
    """The file of a finished job could not be archived: the provider no longer has it."""


class WireStatus(StrEnum):
    """The four statuses that clients see in webhooks."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


def iso(instant: Instant) -> str:
    """Return ISO 8601 in UTC with milliseconds and `Z`."""
    time = datetime.fromtimestamp(instant / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe_iso(instant: Instant | None) -> str | None:
    """Return `iso`, or None for None."""
    return None if instant is None else iso(instant)


def is_event_id(text: str) -> bool:
    """Return True for a possible id of an event, including the form without a digest."""
    return re.fullmatch(r"evt_.+_[1-9][0-9]{0,9}(-[0-9a-f]{12})?", text) is not None


def job_id_of(event_id: str) -> str:
    """Return the job's id in an event's id."""
    return event_id.removeprefix("evt_").rpartition("_")[0]


def sequence_of(event_id: str, job_id: str) -> int | None:
    """Return the sequence in an event's id, or None if it is not this job's."""
    if not is_event_id(event_id) or job_id_of(event_id) != job_id:
        return None
    return int(event_id.rpartition("_")[2].partition("-")[0])


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a job. `sequence` counts from 1 within the job; `progress` is 0..100.

    `content_expires_at` is in Unix seconds, as clients read it.
    """

    job_id: str
    sequence: int
    kind: EventKind
    status: WireStatus
    progress: int
    occurred_at: Instant
    provider_job_id: str | None
    error: str | None = None
    code: str | None = None
    provider_video_url: str | None = field(default=None, repr=False)
    content_expires_at: int | None = None
    model: str | None = None

    @property
    def id(self) -> str:
        """The `webhook-id`: the same on every attempt and resend.

        It is derived from the content, so no crash or race gives one fact two ids. A restored
        database may reuse a sequence, but never an id for another fact.
        """
        content = repr([getattr(self, name) for name in self.__slots__]).encode()
        digest = hashlib.blake2b(content, digest_size=ID_DIGEST_BYTES).hexdigest()
        return f"evt_{self.job_id}_{self.sequence}-{digest}"
