"""The videos of the upstream stub: creating, showing, listing and ending them."""

import json
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

CONTENT = b"\x00\x00\x00\x18ftypmp42 these bytes stand for a video"
FAIL_MARK = "[fail]"
"""A prompt with this mark ends as failed, so that the right ending of each job is known."""
PAGE_MAX = 100
PAGE_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class Steps:
    """A change every so many seconds from `start` on, `count` times, from `base` percent on."""

    start: float
    every: float
    count: int
    base: int
    ends: bool
    """Whether the last change is the video's end."""

    def taken(self, now: float) -> int:
        return max(0, min(self.count, 1 + int((now - self.start) // self.every)))

    def percent(self, now: float) -> int:
        return min(99, self.base + self.taken(now))

    def ended(self, now: float) -> bool:
        return self.ends and self.taken(now) == self.count


@dataclass(slots=True)
class Video:
    """One job at the stub. `created` and `finishes` are seconds of the monotonic clock."""

    id: str
    position: int
    prompt: str
    model: str
    seconds: str
    size: str
    created: float
    created_at: int
    finishes: float | None
    deleted: bool = False
    steps: Steps | None = None
    """For a video that changes by plan."""
    rendered: bytes | None = None


@dataclass(slots=True)
class Videos:
    """All videos, in the order of their creation."""

    in_order: list[Video] = field(default_factory=list)
    by_id: dict[str, Video] = field(default_factory=dict)
    progress_seconds: float = 0.0
    """How long a running video stays at one percentage; 0: progress never moves."""
    queued_seconds: float = 0.0
    """How long a new video is shown as queued."""

    def create(self, fields: dict[str, str], *, finish_after_seconds: float | None) -> Video:
        now = time.monotonic()
        position = len(self.in_order)
        video = Video(
            id=f"video_{position:07d}",
            position=position,
            prompt=fields["prompt"],
            model=fields.get("model", "sora-2"),
            seconds=fields.get("seconds", "4"),
            size=fields.get("size", "720x1280"),
            created=now,
            created_at=int(time.time()),
            finishes=None if finish_after_seconds is None else now + finish_after_seconds,
        )
        self.in_order.append(video)
        self.by_id[video.id] = video
        return video

    def make(self, count: int, *, ended: bool) -> list[str]:
        """Make videos that wait for a plan, or that have ended."""
        made = [
            self.create({"prompt": "made"}, finish_after_seconds=0.0 if ended else None)
            for _ in range(count)
        ]
        for video in made:
            video.steps = None if ended else Steps(0.0, 1.0, 0, 0, ends=False)
        return [video.id for video in made]

    def plan(
        self, ids: list[str], *, start: float, every: float, count: int, ends: bool, seed: int
    ) -> None:
        """Let each of these change `count` times, the first changes spread evenly over `every`."""
        # Chance spreads changes over pages, it makes no keys.
        places = Random(seed).sample(range(len(ids)), len(ids))  # noqa: S311
        for place, video_id in zip(places, ids, strict=True):
            video = self.by_id[video_id]
            base = video.steps.base + video.steps.count if video.steps else 0
            first = start + every * place / len(ids)
            video.steps, video.rendered = Steps(first, every, count, base, ends), None

    def find(self, video_id: str) -> Video | None:
        video = self.by_id.get(video_id)
        return None if video is None or video.deleted else video

    def finish_all(self, at: float) -> int:
        """End every video that has not ended by then, at one moment; say how many."""
        running = [one for one in self.in_order if one.finishes is None or one.finishes > at]
        for video in running:
            video.finishes = at
        return len(running)

    def page(self, *, after: str | None, limit: int, order: str) -> list[Video] | None:
        """Return up to `limit + 1` videos after the cursor, or None for an unknown cursor."""
        step = 1 if order == "asc" else -1
        position = 0 if order == "asc" else len(self.in_order) - 1
        if after is not None:
            if after not in self.by_id:
                return None
            position = self.by_id[after].position + step
        found: list[Video] = []
        while 0 <= position < len(self.in_order) and len(found) <= limit:
            if not self.in_order[position].deleted:
                found.append(self.in_order[position])
            position += step
        return found

    def render(self, video: Video, now: float) -> bytes:
        """Return the video as JSON. One that waits for a plan stays as it is, and is kept."""
        if video.rendered is not None:
            return video.rendered
        rendered = json.dumps(self.show(video, now), separators=(",", ":")).encode()
        if video.steps is not None and video.steps.count == 0:
            video.rendered = rendered
        return rendered

    def show(self, video: Video, now: float) -> dict[str, Any]:
        """Return the video as the wire shows it at that moment, every key present."""
        ended = video.finishes is not None and now >= video.finishes
        if video.steps is not None:
            ended = video.steps.ended(now)
        failed = ended and FAIL_MARK in video.prompt
        completed = ended and not failed
        error = {"code": "moderation_blocked", "message": "The stub refuses this prompt."}
        # A create's own answer shows the moment before: there a video is always queued.
        queued = now - video.created < self.queued_seconds
        if video.steps is not None:
            queued = video.steps.percent(now) == 0
        running = "queued" if queued else "in_progress"
        return {
            "id": video.id,
            "object": "video",
            "model": video.model,
            "status": "failed" if failed else "completed" if completed else running,
            "progress": 100 if completed else 0 if queued else self._percent(video, now),
            "created_at": video.created_at,
            "completed_at": int(time.time()) if completed else None,
            "expires_at": video.created_at + 86_400 if completed else None,
            "prompt": video.prompt,
            "size": video.size,
            "seconds": video.seconds,
            "remixed_from_video_id": None,
            "error": error if failed else None,
        }

    def _percent(self, video: Video, now: float) -> int:
        if video.steps is not None:
            return video.steps.percent(now)
        if self.progress_seconds <= 0:
            return 10
        return min(99, 1 + int((now - video.created) / self.progress_seconds))
