"""The bodies that the inherited routes take and return."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.job import SCRIPT_CHARACTERS_MAX, Job, Status
from reelhook.domain.request import ASPECT_RATIO, FALLBACKS_MAX, SECONDS, SEED_MAX, SIZE
from reelhook.domain.waiting import Waiting
from reelhook.doors.fields import EndpointIds, NoNul, Schema, ShortText, Text, is_absent
from reelhook.doors.waiting import MaybeWaiting, maybe_waiting
from reelhook.gateway import StoredJob


def _as_text(value: Any) -> Any:
    # The wire says `seconds: "4"`; clients say 4 as often.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


Script = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=SCRIPT_CHARACTERS_MAX), NoNul
]
Seconds = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=f"^{SECONDS}$")]
AspectRatio = Annotated[str, StringConstraints(strict=True, pattern=f"^{ASPECT_RATIO}$")]
Seed = Annotated[int, Field(strict=True, ge=0, le=SEED_MAX)]
Size = Annotated[str, StringConstraints(strict=True, pattern=f"^{SIZE}$")]
Fallbacks = Annotated[list[ShortText], Field(max_length=FALLBACKS_MAX)]


class GenerateBody(Schema):
    """A request for a video."""

    script: Script = Field(description="What is rendered")
    prompt: Text | None = Field(None, description="Direction, prepended to the script")
    wallet_address: ShortText | None = Field(None, description="Whose job it is; kept as given")
    render_version: Text | None = Field(None, description="Only v3, a video model")
    webhook_url: Text | None = Field(None, description="Where this job's events go")
    endpoints: EndpointIds = Field([], description="Registered endpoints that they go to")
    model: ShortText | None = Field(None, description="`provider/model`, an alias, or a bare name")
    seconds: Seconds | None = None
    size: Size | None = Field(None, description="Width x height, e.g. 1280x720")
    aspect_ratio: AspectRatio | None = Field(None, description="Instead of a size, e.g. 16:9")
    image: Text | None = Field(None, description="The first image: a URL, or a data: URI")
    seed: Seed | None = Field(None, description="The same seed brings a similar video")
    provider_options: dict[str, Any] | None = Field(
        None, description="The provider's own parameters, passed on as they are"
    )
    fallbacks: Fallbacks = Field(
        [], description="Models to try, in order, where the ones before definitely did not accept"
    )


class GenerateResponse(Schema):
    """The answer to a request for a video; the provider is called after it."""

    job_id: str
    status: str = "generating"
    title: str
    render_version: str
    message: str


class StatusResponse(Schema):
    """The fallback for clients that missed a webhook. Three keys keep their inherited names."""

    job_id: str
    status: str = Field(description="generating, completed or failed")
    ready: bool
    error: str | None
    code: str | None
    created_at: str
    updated_at: str
    video_available: bool
    video_url: str | None
    sora_job_id: str | None = Field(alias="sora_job_id")
    sora_status: str | None = Field(alias="sora_status")
    sora_progress: int = Field(alias="sora_progress")
    waiting: MaybeWaiting = None
    missing_since: str | None = Field(
        None,
        exclude_if=is_absent,
        description="Since when the provider says that it does not know the job; absent: it does",
    )


def status_response(
    stored: StoredJob, video_url: str, waiting: Waiting | None = None
) -> StatusResponse:
    """Tell a job in the seed's words."""
    job = stored.job
    ready = job.status is Status.COMPLETED
    return StatusResponse(
        job_id=job.id,
        status=_seed_status(job),
        ready=ready,
        error=job.error,
        code=job.code,
        created_at=iso(job.created_at),
        updated_at=iso(job.updated_at),
        video_available=ready,
        video_url=video_url if ready else None,
        sora_job_id=job.provider_job_id,
        sora_status=_sora_status(job),
        sora_progress=job.progress,
        waiting=maybe_waiting(waiting),
        missing_since=maybe_iso(job.missing_since),
    )


def _seed_status(job: Job) -> str:
    if not job.status.terminal:
        return "generating"
    return "completed" if job.status is Status.COMPLETED else "failed"


def _sora_status(job: Job) -> str | None:
    if job.status in {Status.ACCEPTED, Status.SUBMITTING}:
        return None
    return "failed" if job.status is Status.CANCELED else job.status.value
