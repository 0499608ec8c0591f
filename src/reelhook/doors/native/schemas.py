"""What the routes take and give, in the inherited camelCase."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.job import SCRIPT_CHARACTERS_MAX, Job, Status
from reelhook.domain.request import (
    ASPECT_RATIO,
    FALLBACKS_MAX,
    JOB_ID,
    JOB_ID_CHARACTERS_MAX,
    PROVIDER_JOB_ID,
    SECONDS,
    SEED_MAX,
    SHORT_CHARACTERS_MAX,
    SIZE,
)
from reelhook.domain.waiting import Waiting
from reelhook.doors.native.waiting import MaybeWaiting, maybe_waiting
from reelhook.ports import ListedJob, StoredJob

ENDPOINTS_MAX = 10
"""How many endpoints a job may name."""


class Schema(BaseModel):
    """camelCase outside, snake_case inside; strict about types, open to keys we don't know."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _as_text(value: Any) -> Any:
    # The wire says `seconds: "4"`; clients say 4 as often.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _without_nul(value: str) -> str:
    # PostgreSQL's text and many renderers can't take it.
    if "\0" in value:
        raise PydanticCustomError("nul", "must not contain NUL characters")
    return value


def untold(value: object) -> bool:
    """Whether a field has nothing to say, and is left out."""
    return value is None


_NoNul = AfterValidator(_without_nul)
JobId = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=JOB_ID_CHARACTERS_MAX, pattern=f"^{JOB_ID}$"
    ),
]
ProviderJobId = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=SHORT_CHARACTERS_MAX, pattern=f"^{PROVIDER_JOB_ID}$"
    ),
]
Text = Annotated[str, StringConstraints(strict=True), _NoNul]
Script = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=SCRIPT_CHARACTERS_MAX), _NoNul
]
ShortText = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=SHORT_CHARACTERS_MAX), _NoNul
]
Seconds = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=f"^{SECONDS}$")]
AspectRatio = Annotated[str, StringConstraints(strict=True, pattern=f"^{ASPECT_RATIO}$")]
Seed = Annotated[int, Field(strict=True, ge=0, le=SEED_MAX)]
Size = Annotated[str, StringConstraints(strict=True, pattern=f"^{SIZE}$")]
Fallbacks = Annotated[list[ShortText], Field(max_length=FALLBACKS_MAX)]
EndpointIds = Annotated[list[JobId], Field(max_length=ENDPOINTS_MAX)]


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


class RegisterBody(Schema):
    """A job that was created at the provider by someone else."""

    sora_job_id: ProviderJobId = Field(description="The provider's id of the job")
    job_id: JobId | None = Field(None, description="The id it shall have here")
    webhook_url: Text | None = None
    endpoints: EndpointIds = Field([], description="Registered endpoints that its events go to")
    account: ShortText | None = Field(
        None, description="Whose job it is: an account, or a provider with one"
    )


class AdoptBody(Schema):
    """The provider's job that a job in doubt turned out to be."""

    sora_job_id: ProviderJobId = Field(description="The provider's id of the job")


class CancelBody(Schema):
    """How to cancel."""

    force: Annotated[bool, Field(strict=True)] = Field(
        False, description="Stop watching even if the provider can't cancel"
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
        exclude_if=untold,
        description="Since when the provider says that it does not know the job; absent: it does",
    )


class CostResponse(Schema):
    """What a job cost. The unit is USD where the provider tells money, else its own."""

    amount: float
    unit: str
    charged: bool = Field(description="false: only quoted so far")


class JobResponse(Schema):
    """A job as it stands."""

    job_id: str
    status: Status
    progress: int
    title: str
    model: str | None
    seconds: str | None
    size: str | None
    aspect_ratio: str | None
    seed: int | None
    provider: str
    account: str
    fallbacks: list[str]
    queue_position: int | None = Field(
        None,
        description="Jobs of the same account that are created before this one, if it waits; "
        "what its provider renders before it, where the provider says so",
    )
    cost: CostResponse | None = Field(description="What the provider charged, else what it quoted")
    adopted_from: str | None = Field(description="The job in doubt that this one turned out to be")
    in_doubt: bool = Field(description="Whether nobody knows if a provider has it")
    sora_job_id: str | None
    error: str | None
    code: str | None
    webhook_url: str | None
    video_url: str | None
    created_at: str
    updated_at: str
    last_checked_at: str | None
    sequence: int
    waiting: MaybeWaiting = None
    missing_since: str | None = Field(
        None,
        exclude_if=untold,
        description="Since when the provider says that it does not know the job; absent: it does",
    )
    stopped: bool | None = Field(
        None,
        exclude_if=untold,
        description="Of a canceled job: whether nothing renders on. false: the provider goes on "
        "nevertheless, since it can't stop a render; absent: not known",
    )


class JobsResponse(Schema):
    """A page of jobs, newest first."""

    jobs: list[JobResponse]
    next_cursor: str | None


class EventsResponse(Schema):
    """All events of a job, in order: each the webhook's body, with its `webhook-id` as `id`."""

    events: list[dict[str, Any]]


class WatcherResponse(Schema):
    """The watcher's switch."""

    paused: bool


class ErrorResponse(Schema):
    """What every error looks like."""

    error: str = Field(description="What is wrong and what to do")
    code: str = Field(description="Stable, for programs")
    field: str | None = Field(None, description="The field that is wrong, if it is one")
    problem: str | None = Field(
        None, description="Stable too: says more precisely than the code what is wrong"
    )
    job_id: str | None = Field(
        None,
        description="The job that the error is about. With acceptance_unknown: the job that may "
        "have been accepted",
    )
    job_status: str | None = Field(None, description="The job's status, if it is the reason")
    provider_job_id: str | None = Field(
        None, description="With the problem already_watched: the provider's id of that job"
    )
    endpoint_id: str | None = Field(
        None,
        description="The endpoint that the error is about. With acceptance_unknown: the endpoint "
        "that may have been changed",
    )
    sequence: int | None = Field(
        None, description="With the problem unknown_event: the event that does not exist"
    )
    delivery_id: str | None = Field(
        None, description="With acceptance_unknown: the delivery that repeats an event"
    )
    resend_id: str | None = Field(
        None, description="With acceptance_unknown: the resend that may have been started"
    )


def status_answer(
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


def job_answer(
    listed: ListedJob,
    video_url: str,
    queue_position: int | None = None,
    waiting: Waiting | None = None,
) -> JobResponse:
    """Tell a job whole."""
    job = listed.job
    return JobResponse(
        job_id=job.id,
        status=job.status,
        progress=job.progress,
        title=listed.title,
        model=job.model or None,
        seconds=listed.seconds,
        size=listed.size,
        aspect_ratio=listed.aspect_ratio,
        seed=listed.seed,
        provider=job.provider,
        account=job.account,
        fallbacks=list(listed.fallbacks),
        queue_position=queue_position,
        cost=_cost(job),
        adopted_from=job.adopted_from,
        in_doubt=job.in_doubt_now,
        sora_job_id=job.provider_job_id,
        error=job.error,
        code=job.code,
        webhook_url=listed.webhook_url,
        video_url=video_url if job.status is Status.COMPLETED else None,
        created_at=iso(job.created_at),
        updated_at=iso(job.updated_at),
        last_checked_at=maybe_iso(listed.checked_at),
        sequence=job.sequence,
        waiting=maybe_waiting(waiting),
        missing_since=maybe_iso(job.missing_since),
        stopped=job.stopped,
    )


def _cost(job: Job) -> CostResponse | None:
    if job.charged_amount is not None and job.charged_unit is not None:
        return CostResponse(amount=job.charged_amount, unit=job.charged_unit, charged=True)
    if job.quoted_amount is not None and job.quoted_unit is not None:
        return CostResponse(amount=job.quoted_amount, unit=job.quoted_unit, charged=False)
    return None


def _seed_status(job: Job) -> str:
    if not job.status.terminal:
        return "generating"
    return "completed" if job.status is Status.COMPLETED else "failed"


def _sora_status(job: Job) -> str | None:
    if job.status in {Status.ACCEPTED, Status.SUBMITTING}:
        return None
    return "failed" if job.status is Status.CANCELED else job.status.value
