"""The bodies that the routes about jobs take and return, in camelCase."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.job import Job, Status
from reelhook.domain.request import PROVIDER_JOB_ID, SHORT_CHARACTERS_MAX
from reelhook.domain.waiting import Waiting
from reelhook.doors.fields import EndpointIds, JobId, Schema, ShortText, Text, is_absent
from reelhook.doors.waiting import MaybeWaiting, maybe_waiting
from reelhook.gateway import ListedJob

ProviderJobId = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=SHORT_CHARACTERS_MAX, pattern=f"^{PROVIDER_JOB_ID}$"
    ),
]


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
        exclude_if=is_absent,
        description="Since when the provider says that it does not know the job; absent: it does",
    )
    stopped: bool | None = Field(
        None,
        exclude_if=is_absent,
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
    job_id: str | None = Field(
        None, description="With acceptance_unknown: the job that may have been accepted"
    )
    endpoint_id: str | None = Field(
        None, description="With acceptance_unknown: the endpoint that may have been changed"
    )
    delivery_id: str | None = Field(
        None, description="With acceptance_unknown: the delivery that repeats an event"
    )
    resend_id: str | None = Field(
        None, description="With acceptance_unknown: the resend that may have been started"
    )


def job_response(
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
