"""The way of a job as spans of time, to scale: accepted, creating, queued, rendering, delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status

_LEAST_SHARE = 0.006
"""The least width of a span, as a share of the whole, so that a short one is visible."""


@dataclass(frozen=True, slots=True)
class Span:
    """A step of a job's way. `tone` is a class of the style sheet; `left` and `width` are in %."""

    word: str
    tone: str
    began_at: Instant
    ended_at: Instant
    left: float = 0.0
    width: float = 0.0

    @property
    def milliseconds(self) -> int:
        """Its length."""
        return self.ended_at - self.began_at


def spans_of(
    job: Job,
    events: Sequence[Mapping[str, Any]],
    arrived_at: Instant | None,
    now: Instant,
) -> list[Span]:
    """Return the steps of a job's way up to now. `events` are the bodies of its webhooks."""
    over_at = job.updated_at if job.status.terminal else now
    began = [
        ("accepted", "wait", job.created_at),
        ("creating", "busy", _submitted_at(job)),
        ("queued", "wait", job.accepted_at),
        ("rendering", "busy", _rendering_at(events)),
    ]
    known = [(word, tone, at) for word, tone, at in began if at is not None]
    spans = []
    for index, (word, tone, at) in enumerate(known):
        until = known[index + 1][2] if index + 1 < len(known) else over_at
        spans.append(Span(word, tone, min(at, over_at), max(at, min(until, over_at))))
    if job.status.terminal and arrived_at is not None and arrived_at >= over_at:
        tone = "good" if job.status is Status.COMPLETED else "bad"
        spans.append(Span("webhook", tone, over_at, arrived_at))
    return _scaled(spans)


def _submitted_at(job: Job) -> Instant | None:
    # A registered job was never created here, and a later create must not precede the first step.
    at = job.submit_started_at
    return None if at is None else max(at, job.created_at)


def _rendering_at(events: Sequence[Mapping[str, Any]]) -> Instant | None:
    for event in events:
        if event.get("status") == "processing":
            time = datetime.fromisoformat(str(event["timestamp"]))
            return round(time.timestamp() * 1000)
    return None


def _scaled(spans: Sequence[Span]) -> list[Span]:
    whole = sum(span.milliseconds for span in spans)
    if not spans or not whole:
        return list(spans)
    shares = [max(span.milliseconds / whole, _LEAST_SHARE) for span in spans]
    scale, left, scaled = 100 / sum(shares), 0.0, []
    for span, share in zip(spans, shares, strict=True):
        width = share * scale
        scaled.append(
            Span(
                span.word, span.tone, span.began_at, span.ended_at, round(left, 3), round(width, 3)
            )
        )
        left += width
    return scaled
