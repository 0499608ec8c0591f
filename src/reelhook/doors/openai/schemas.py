"""The bodies of `/v1`, in snake case. Those of responses are OpenAI's, and a few fields of ours."""

from typing import Literal

from pydantic import BaseModel, Field

from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.labels import Labels, labels_of
from reelhook.domain.request import VideoRequest
from reelhook.doors.fields import is_absent
from reelhook.doors.openai.ids import video_id
from reelhook.gateway import ListedJob, StoredJob

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]
_STATUS: dict[Status, VideoStatus] = {
    Status.ACCEPTED: "queued",
    Status.SUBMITTING: "queued",
    Status.QUEUED: "queued",
    Status.PROCESSING: "in_progress",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELED: "failed",
}
"""The SDKs' `poll` ends at any other word."""


class VideoError(BaseModel):
    """The reason why a video failed."""

    code: str = Field(description="Stable, for programs; `canceled` if it was canceled")
    message: str


class Video(BaseModel):
    """A video job. `recovered`, `warnings`, `metadata` and `external_id` are not OpenAI's."""

    id: str
    object: Literal["video"] = "video"
    model: str = Field(
        description="`provider/model`, as a request may name it; empty: the provider chooses"
    )
    status: VideoStatus
    progress: int
    created_at: int = Field(description="Unix seconds")
    completed_at: int | None
    expires_at: int | None = Field(description="The end of the file at its provider, if known")
    prompt: str | None = Field(description="null in lists")
    seconds: str = Field(description="As requested; empty: the model chooses")
    size: str = Field(description="As requested; empty: the model chooses")
    remixed_from_video_id: str | None = Field(description="null in lists")
    error: VideoError | None
    recovered: bool | None = Field(
        None, exclude_if=is_absent, description="true: it failed, and its video turned up later"
    )
    warnings: list[str] | None = Field(
        None, exclude_if=is_absent, description="What was ignored in the request, if anything"
    )
    metadata: dict[str, str] | None = Field(None, exclude_if=is_absent)
    external_id: str | None = Field(None, exclude_if=is_absent)


class VideoPage(BaseModel):
    """A page of videos. `last_id` is the `after` of the next one."""

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(BaseModel):
    """The confirmation that a video was deleted."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class ModelCard(BaseModel):
    """A model that a request may name."""

    id: str = Field(description="`provider/model`, or an alias")
    object: Literal["model"] = "model"
    created: int = Field(0, description="Always 0: not known")
    owned_by: str = Field(description="The provider")


class ModelPage(BaseModel):
    """All models; this list has no pages."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorObject(BaseModel):
    """The details of an error, with the remedy."""

    message: str
    type: str
    param: str | None = Field(description="The field that is wrong, if it is one")
    code: str = Field(description="Stable, for programs")
    video_id: str | None = Field(
        None, description="With acceptance_unknown: the video that may have been accepted"
    )


class ErrorBody(BaseModel):
    """The form of every error below `/v1`."""

    error: ErrorObject


def video_of(stored: StoredJob, model: str, source: str | None = None) -> Video:
    """Return a job as a video. `source` is the job whose video it remixes."""
    request = stored.request
    more = {
        "prompt": request.prompt or None,
        "remixed_from_video_id": None if source is None else video_id(source),
    }
    return _video(stored.job, model, request.seconds, request.size).model_copy(update=more)


def accepted_video(job_id: str, request: VideoRequest, labels: Labels, now: Instant) -> Video:
    """Return the video of a job that was just accepted, as far as the request tells it."""
    return Video(
        id=video_id(job_id),
        model=request.model,
        status="queued",
        progress=0,
        created_at=now // 1000,
        completed_at=None,
        expires_at=None,
        prompt=request.prompt,
        seconds=request.seconds or "",
        size=request.size or "",
        remixed_from_video_id=None,
        error=None,
        metadata=dict(labels.metadata) or None,
        external_id=labels.external_id,
    )


def with_warnings(video: Video, warnings: list[str]) -> Video:
    """Return the video with what was ignored in its request, if anything was."""
    return video.model_copy(update={"warnings": warnings or None})


def listed_video(listed: ListedJob, model: str) -> Video:
    """Return a job of a list as a video. Lists carry no prompts, which may be long."""
    return _video(listed.job, model, listed.seconds, listed.size)


def _video(job: Job, model: str, seconds: str | None, size: str | None) -> Video:
    completed, expires_at = job.status is Status.COMPLETED, job.content_expires_at
    labels = labels_of(job)
    return Video(
        id=video_id(job.id),
        model=model,
        status=_STATUS[job.status],
        progress=job.progress,
        created_at=job.created_at // 1000,
        completed_at=job.updated_at // 1000 if completed else None,
        expires_at=expires_at // 1000 if completed and expires_at is not None else None,
        prompt=None,
        seconds=seconds or "",
        size=size or "",
        remixed_from_video_id=None,
        error=_error(job),
        recovered=job.recovered_at is not None or None,
        metadata=dict(labels.metadata) or None,
        external_id=labels.external_id,
    )


def _error(job: Job) -> VideoError | None:
    if _STATUS[job.status] != "failed":
        return None
    word = job.status.value
    return VideoError(code=job.code or word, message=job.error or f"The video was {word}")
