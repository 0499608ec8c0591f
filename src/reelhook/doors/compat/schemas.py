"""The bodies that the first client's routes take and return."""

from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.job import Job, Status
from reelhook.domain.request import (
    ASPECT_RATIO,
    FALLBACKS_MAX,
    PROMPT_CHARACTERS_MAX,
    REFERENCES_MAX,
    RESOLUTION,
    SECONDS,
    SEED_MAX,
    SHORT_CHARACTERS_MAX,
    SIZE,
)
from reelhook.domain.waiting import Waiting
from reelhook.doors.fields import ChosenProject, EndpointIds, Schema, Text, documented, is_absent
from reelhook.doors.ignored_fields import warnings_of
from reelhook.doors.labels import LabelledBody, LabelledResponse, PriorityName, label_fields
from reelhook.doors.media_urls import AudioMedium, ImageMedium, VideoMedium
from reelhook.doors.waiting import MaybeWaiting, maybe_waiting
from reelhook.gateway import StoredJob


def _as_text(value: Any) -> Any:
    # The API documents `seconds: "4"`, but many clients send 4. The domain refuses 4.5.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


UncheckedText = Annotated[str, Field(strict=True)]
Script = Annotated[str, documented(minLength=1, maxLength=PROMPT_CHARACTERS_MAX)]
Name = Annotated[str, documented(minLength=1, maxLength=SHORT_CHARACTERS_MAX)]
Seconds = Annotated[str, BeforeValidator(_as_text), documented(pattern=f"^{SECONDS}$")]
AspectRatio = Annotated[str, documented(pattern=f"^{ASPECT_RATIO}$")]
Seed = Annotated[int, documented(minimum=0, maximum=SEED_MAX)]
Size = Annotated[str, documented(pattern=f"^{SIZE}$")]
Resolution = Annotated[str, documented(pattern=f"^({RESOLUTION})$")]
NegativePrompt = Annotated[str, documented(minLength=1, maxLength=PROMPT_CHARACTERS_MAX)]
Images = Annotated[list[ImageMedium], Field(fail_fast=True), documented(maxItems=REFERENCES_MAX)]
Videos = Annotated[list[VideoMedium], Field(fail_fast=True), documented(maxItems=REFERENCES_MAX)]
Audios = Annotated[list[AudioMedium], Field(fail_fast=True), documented(maxItems=REFERENCES_MAX)]
Fallbacks = Annotated[list[Name], Field(fail_fast=True), documented(maxItems=FALLBACKS_MAX)]


class GenerateBody(LabelledBody):
    """A request for a video."""

    script: Script = Field(description="The text to render")
    prompt: UncheckedText | None = Field(None, description="Direction, put before the script")
    wallet_address: Name | None = Field(None, description="The job's owner; stored as given")
    render_version: Text | None = Field(None, description="Only v3, a video model")
    webhook_url: Text | None = Field(None, repr=False, description="Where this job's events go")
    callback_url: Text | None = Field(
        None, repr=False, description="Another name of webhookUrl, that of other gateways"
    )
    endpoints: EndpointIds = Field([], description="Registered endpoints that its events go to")
    model: Name | None = Field(None, description="`provider/model`, an alias, or a bare name")
    seconds: Seconds | None = None
    size: Size | None = Field(None, description="Width x height, e.g. 1280x720")
    aspect_ratio: AspectRatio | None = Field(None, description="Instead of a size, e.g. 16:9")
    image: ImageMedium | None = Field(
        None,
        description="The first image: a URL, a data: URI, the id of an upload, or a job's last "
        "frame",
    )
    last_frame: ImageMedium | None = Field(None, description="The last image, in the same form")
    reference_images: Images = Field(
        [], description="Images whose subjects or style the video has, in the same form"
    )
    reference_videos: Videos = Field([], description="Videos, in the same form")
    reference_audios: Audios = Field([], description="Sounds: URLs, data: URIs, or uploads")
    video: VideoMedium | None = Field(
        None, description="A video to go on from: the first of referenceVideos by another name"
    )
    resolution: Resolution | None = Field(None, description="Such as 720p, 1080p or 4k")
    seed: Seed | None = Field(None, description="The same seed gives a similar video")
    negative_prompt: NegativePrompt | None = Field(
        None, description="The things that the video should not show"
    )
    audio: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="With or without sound. Default: the model's choice"
    )
    callback_secret: UncheckedText | None = Field(
        None,
        repr=False,
        description="The secret that signs the webhooks to webhookUrl: 16 to 256 characters",
    )
    callback_format: Name | None = Field(
        None, description="The format of the webhooks to webhookUrl. Default: reelhook"
    )
    provider_options: dict[str, Any] | None = Field(
        None, description="The provider's own parameters, passed on unchanged"
    )
    project: ChosenProject = None
    fallbacks: Fallbacks = Field(
        [],
        description="Models to try, in order, when the ones before definitely did not accept",
    )
    priority: PriorityName | None = Field(
        None, description="Its place among your project's waiting jobs. Default: normal"
    )
    _given: tuple[str, ...] = PrivateAttr(())
    """The names in the body, known or not. A field that is null counts as absent."""

    @model_validator(mode="wrap")
    @classmethod
    def _keep_names(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        body = handler(value)
        given = value if isinstance(value, dict) else {}
        body._given = tuple(name for name, one in given.items() if one is not None)
        return body

    @property
    def warnings(self) -> list[str]:
        """Warnings about the fields that are ignored."""
        fields = type(self).model_fields
        aliases = (str(field.alias) for field in fields.values())
        return warnings_of(self._given, (*fields, *aliases))

    @property
    def own_url(self) -> str | None:
        """The URL of the job's events, by either name. Raises `InvalidRequestError` for two."""
        one, other = self.webhook_url, self.callback_url
        if one is not None and other is not None and one != other:
            raise InvalidRequestError(
                "callback_url",
                "webhookUrl and callbackUrl differ, but are two names of one field; give one",
            )
        return one if other is None else other


class GenerateResponse(Schema):
    """The response to a request for a video; the provider is called after it."""

    job_id: str
    status: str = "generating"
    title: str
    render_version: str
    message: str
    warnings: list[str] | None = Field(
        None, exclude_if=is_absent, description="The fields that were ignored; absent if none"
    )


class StatusResponse(LabelledResponse):
    """A job's status, for clients that missed a webhook. Three keys are in snake case."""

    job_id: str
    status: str = Field(description="generating, completed or failed")
    ready: bool
    error: str | None
    code: str | None
    created_at: str
    updated_at: str
    video_available: bool
    video_url: str | None
    poster_url: str | None = Field(description="null while there is no poster")
    sora_job_id: str | None = Field(alias="sora_job_id")
    sora_status: str | None = Field(alias="sora_status")
    sora_progress: int = Field(alias="sora_progress")
    waiting: MaybeWaiting = None
    missing_since: str | None = Field(
        None,
        exclude_if=is_absent,
        description="Since when the provider reports the job as unknown; absent if it knows it",
    )
    recovered: bool | None = Field(
        None,
        exclude_if=is_absent,
        description="true: the job failed, and its video turned up later; absent otherwise",
    )


def status_response(
    stored: StoredJob,
    video_url: str,
    poster_url: str | None = None,
    waiting: Waiting | None = None,
) -> StatusResponse:
    """Return a job's status in the first client's terms. `poster_url` None: it has no poster."""
    job = stored.job
    ready = job.status is Status.COMPLETED
    return StatusResponse(
        job_id=job.id,
        status=_client_status(job),
        ready=ready,
        error=job.error,
        code=job.code,
        created_at=iso(job.created_at),
        updated_at=iso(job.updated_at),
        video_available=job.has_video,
        video_url=video_url if job.has_video else None,
        poster_url=poster_url,
        sora_job_id=job.provider_job_id,
        sora_status=_sora_status(job),
        sora_progress=job.progress,
        waiting=maybe_waiting(waiting),
        missing_since=maybe_iso(job.missing_since),
        recovered=job.recovered_at is not None or None,
        **label_fields(job),
    )


def _client_status(job: Job) -> str:
    if not job.status.terminal:
        return "generating"
    return "completed" if job.status is Status.COMPLETED else "failed"


def _sora_status(job: Job) -> str | None:
    if job.status in {Status.ACCEPTED, Status.SUBMITTING}:
        return None
    return "failed" if job.status is Status.CANCELED else job.status.value
