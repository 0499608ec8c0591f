"""Submits in doubt, listed entries, and a look at them, for the tests."""

from collections.abc import Sequence
from dataclasses import replace

from reelhook.domain.job import VideoRequest
from reelhook.domain.lookup import Doubt, Resolution, resolve
from reelhook.domain.report import Entry, Progress

from .samples import NOW

CAT = VideoRequest(script="A cat in the rain", model="sora-2", seconds="4", size="720x1280")
DOG = replace(CAT, script="A dog in the snow")
RUNNING = Progress(running=True)
NOTHING: tuple[str, ...] = ()


def doubt(
    job_id: str = "job_1",
    request: VideoRequest = CAT,
    *,
    started_at: int = NOW,
    settled: bool = True,
) -> Doubt:
    return Doubt(job_id, request, started_at, settled)


def entry(
    provider_job_id: str = "video_1",
    request: VideoRequest = CAT,
    created_at: int | None = NOW,
) -> Entry:
    return Entry(
        provider_job_id,
        RUNNING,
        created_at=created_at,
        prompt=request.prompt,
        model=request.model,
        seconds=request.seconds,
        size=request.size,
    )


def look(
    doubts: Sequence[Doubt],
    entries: Sequence[Entry],
    *,
    proven: bool = True,
    given_up: Sequence[VideoRequest] = (),
) -> Resolution:
    return resolve(doubts, entries, listing_proven=proven, given_up=given_up)


def ids(resolution: Resolution) -> dict[str, str]:
    return {job_id: found.provider_job_id for job_id, found in resolution.found.items()}
