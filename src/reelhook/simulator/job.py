"""A simulated job, and its state as a function of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

CONTENT_TTL_SECONDS = 3600.0
"""The time after its completion in which a video can be downloaded."""


class Phase(StrEnum):
    """The phase of a job; a wire translates it into its provider's status."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Ending(StrEnum):
    """The ending of a job, drawn when it is created."""

    VIDEO = "video"
    MODERATION = "moderation"
    BROKEN = "broken"
    NEVER = "never"


class Variant(StrEnum):
    """The files of a video."""

    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"

    @property
    def content_type(self) -> str:
        """The media type of its bytes."""
        match self:
            case Variant.VIDEO:
                return "video/mp4"
            case Variant.THUMBNAIL:
                return "image/webp"
            case Variant.SPRITESHEET:
                return "image/jpeg"
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """The requested video: sizes in pixels, duration in seconds."""

    prompt: str
    model: str
    width: int
    height: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason of a failed job: a code and a message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RenderState:
    """The state of a job at one time: progress 0..100, times in Unix seconds or None."""

    phase: Phase
    progress: int
    completed_at: float | None = None
    expires_at: float | None = None
    failure: Failure | None = None


MODERATED = Failure(
    code="moderation_blocked",
    message="The simulator's moderation blocked this job, as its settings say.",
)


BROKEN = Failure(
    code="engine_error",
    message="The simulator's engine broke down, as its settings say.",
)


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job; `number` counts creations from 1, `created_at` is in Unix seconds.

    `wire` is the prefix of its id, which identifies its wire.
    """

    id: str
    number: int
    video: VideoSpec
    created_at: float
    queue_seconds: float
    render_seconds: float
    ending: Ending
    wire: str = ""
    foreign_url: str | None = None
    """The address of its finished file, instead of the simulator's own."""
    engine: Mapping[str, object] = field(default_factory=dict)
    """Further parameters that reached the engine, by the server's names."""
    shown: Mapping[str, object] = field(default_factory=dict)
    """Parameters of its create, in the form in which the server shows them."""

    def file_url(self, own: object) -> str:
        """Return the address of its finished file."""
        return self.foreign_url or str(own)

    @property
    def ends_at(self) -> float:
        """The planned end of the job in Unix seconds, even if it never ends."""
        return self.created_at + self.render_seconds

    def state(self, now: float) -> RenderState:
        """Return the job's state at `now`."""
        elapsed = now - self.created_at
        if elapsed >= self.render_seconds:
            return self._ended()
        if elapsed < self.queue_seconds:
            return RenderState(Phase.QUEUED, 0)
        share = (elapsed - self.queue_seconds) / (self.render_seconds - self.queue_seconds)
        return RenderState(Phase.RUNNING, min(99, int(100 * share)))

    def _ended(self) -> RenderState:
        match self.ending:
            case Ending.VIDEO:
                expires_at = self.ends_at + CONTENT_TTL_SECONDS
                return RenderState(Phase.COMPLETED, 100, self.ends_at, expires_at)
            case Ending.MODERATION:
                return RenderState(Phase.FAILED, 99, failure=MODERATED)
            case Ending.BROKEN:
                return RenderState(Phase.FAILED, 99, failure=BROKEN)
            case Ending.NEVER:
                return RenderState(Phase.RUNNING, 99)
            case _:
                assert_never(self.ending)

    def content_is_ready(self, now: float) -> bool:
        """Return True if the video can be downloaded: completed, and not yet expired."""
        expires_at = self.state(now).expires_at
        return expires_at is not None and now < expires_at
