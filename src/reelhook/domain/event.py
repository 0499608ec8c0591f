"""Event: an immutable fact about a job, which webhooks report."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

Instant = int
"""A moment: milliseconds since the Unix epoch, UTC."""
ID_DIGEST_BYTES = 6
"""How much of an event's id is a digest of what the event says."""


class EventKind(StrEnum):
    """What an event may supersede: see `Delivery.offer`."""

    PROGRESS = "progress"
    STATUS = "status"
    TERMINAL = "terminal"
    FALLBACK = "fallback"
    """Another model is tried. It is kept in the job's history, and sent to nobody: the webhooks of
    a job begin when a provider has it."""


class WireStatus(StrEnum):
    """The four statuses that clients see in webhooks."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


def iso(instant: Instant) -> str:
    """Return ISO 8601 in UTC with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(instant / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe_iso(instant: Instant | None) -> str | None:
    """Return `iso`, or None where there is no moment."""
    return None if instant is None else iso(instant)


def is_event_id(text: str) -> bool:
    """Return whether an event may have this id, or could have it before ids named the content."""
    return re.fullmatch(r"evt_.+_[1-9][0-9]{0,9}(-[0-9a-f]{12})?", text) is not None


def job_id_of(event_id: str) -> str:
    """Return the job that an event's id names."""
    return event_id.removeprefix("evt_").rpartition("_")[0]


def sequence_of(event_id: str, job_id: str) -> int | None:
    """Return the sequence that an event's id names, or None where it is not of this job."""
    if not is_event_id(event_id) or job_id_of(event_id) != job_id:
        return None
    return int(event_id.rpartition("_")[2].partition("-")[0])


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a job. `sequence` counts from 1 within the job; `progress` is 0..100."""

    job_id: str
    sequence: int
    kind: EventKind
    status: WireStatus
    progress: int
    occurred_at: Instant
    provider_job_id: str | None
    error: str | None = None
    code: str | None = None
    provider_video_url: str | None = None
    content_expires_at: int | None = None
    model: str | None = None

    @property
    def id(self) -> str:
        """The `webhook-id`: the same on every attempt and resend.

        It follows from what the event says, so that no crash or race gives one fact two ids, and
        a restored database, which may use a sequence a second time, gives no id to two facts.
        """
        content = repr([getattr(self, name) for name in self.__slots__]).encode()
        digest = hashlib.blake2b(content, digest_size=ID_DIGEST_BYTES).hexdigest()
        return f"evt_{self.job_id}_{self.sequence}-{digest}"
