"""The bodies that the routes about jobs take and return, in camelCase."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.job import Job, Status
from reelhook.domain.priority import Priority
from reelhook.domain.request import (
    JOB_ID,
    JOB_ID_CHARACTERS_MAX,
    PROVIDER_JOB_ID,
    SHORT_CHARACTERS_MAX,
)
from reelhook.domain.waiting import Waiting
from reelhook.doors.causes import CauseResponse, MaybeCause
from reelhook.doors.fields import (
    ChosenProject,
    EndpointIds,
    MaybeProject,
    Schema,
    ShortText,
    Text,
    documented,
    is_absent,
    maybe_project,
)
from reelhook.doors.labels import LabelledBody, LabelledResponse, label_fields
from reelhook.doors.native.references import MaybeReferences, maybe_references
from reelhook.doors.waiting import MaybeWaiting, maybe_waiting
from reelhook.gateway import ListedJob

ProviderJobId = Annotated[
    str,
    documented(minLength=1, maxLength=SHORT_CHARACTERS_MAX, pattern=f"^{PROVIDER_JOB_ID}$"),
]
OwnJobId = Annotated[
    str, documented(minLength=1, maxLength=JOB_ID_CHARACTERS_MAX, pattern=f"^{JOB_ID}$")
]


class RegisterBody(LabelledBody):
    """A job that another program created at the provider."""

    sora_job_id: ProviderJobId = Field(description="The provider's id of the job")
    job_id: OwnJobId | None = Field(None, description="The id that it gets here")
    webhook_url: Text | None = Field(None, repr=False)
    endpoints: EndpointIds = Field([], description="Registered endpoints that its events go to")
    project: ChosenProject = None
    account: ShortText | None = Field(
        None, description="The job's account, or a provider whose first account has it"
    )


class AdoptBody(Schema):
    """The provider's job that belongs to a job in doubt."""

    sora_job_id: ProviderJobId = Field(description="The provider's id of the job")


class CancelBody(Schema):
    """The options of a cancel."""

    force: Annotated[bool, Field(strict=True)] = Field(
        False, description="Stop watching even if the provider can't cancel"
    )


class CostKind(StrEnum):
    """The origin of a cost: a price table, the provider's quote, or its charge."""

    ESTIMATED = "estimated"
    QUOTED = "quoted"
    CHARGED = "charged"


class CostResponse(Schema):
    """The cost of a job. The unit is USD if the provider reports money, else its own."""

    amount: float
    unit: str
    charged: bool = Field(description="false: only quoted or estimated so far")
    kind: CostKind


class JobResponse(LabelledResponse):
    """A job in its present state."""

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
        description="For a waiting job, the jobs of its account that are created before it. For a "
        "queued one, the jobs that its provider renders before it, if the provider reports that",
    )
    cost: CostResponse | None = Field(
        description="The provider's charge, else its quote, else an estimate by the model's price"
    )
    adopted_from: str | None = Field(description="The job in doubt that this one resolved")
    in_doubt: bool = Field(description="true: it is not known whether a provider has the job")
    sora_job_id: str | None
    error: str | None
    code: str | None
    webhook_url: str | None
    video_url: str | None
    poster_url: str | None = Field(description="null while there is no poster")
    created_at: str
    updated_at: str
    last_checked_at: str | None
    sequence: int
    waiting: MaybeWaiting = None
    waiting_for: MaybeCause = None
    missing_since: str | None = Field(
        None,
        exclude_if=is_absent,
        description="Since when the provider reports the job as unknown; absent if it knows it",
    )
    stopped: bool | None = Field(
        None,
        exclude_if=is_absent,
        description="For a canceled job. true: its render ended too; false: the provider "
        "continues, since it can't stop a render; absent: not known",
    )
    project: MaybeProject = None
    priority: str | None = Field(
        None, exclude_if=is_absent, description="low or high; absent: normal"
    )
    resolution: str | None = Field(None, exclude_if=is_absent)
    negative_prompt: str | None = Field(
        None, exclude_if=is_absent, description="Absent in lists, because it may be long"
    )
    audio: bool | None = Field(None, exclude_if=is_absent)
    references: MaybeReferences = None


class JobsResponse(Schema):
    """A page of jobs, newest first."""

    jobs: list[JobResponse]
    next_cursor: str | None


class EventsResponse(Schema):
    """All events of a job, in order: each the webhook's body, with its `webhook-id` as `id`."""

    events: list[dict[str, Any]]


class WatcherResponse(Schema):
    """The state of polling."""

    paused: bool


class ErrorResponse(Schema):
    """The form of every error."""

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
    project: str | None = Field(None, description="The project that the error is about")
    name: str | None = Field(
        None, description="With the problem project_name_taken: the name that another project has"
    )
    job_status: str | None = Field(None, description="The job's status, if it is the reason")
    key_id: str | None = Field(
        None, description="With acceptance_unknown: the key that may have been made or changed"
    )
    scope: str | None = Field(None, description="With scope_missing: the scope that is needed")
    model: str | None = Field(None, description="With model_not_allowed: the model")
    allowed: list[str] | None = Field(
        None, description="With model_not_allowed: the models that are allowed"
    )
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
    budget: str | None = Field(
        None,
        description="With over_budget (402) and job_limit_reached (429): moneyPerDay, "
        "moneyPerMonth, jobsPerDay or jobsInFlight. With acceptance_unknown: the budget that may "
        "have been changed",
    )
    owner: str | None = Field(None, description="Whose budget it is: project or key")
    unit: str | None = Field(None, description="The currency of a budget, or jobs")
    limit: float | int | None = Field(None, description="The limit of a budget")
    used: float | int | None = Field(None, description="What is reserved and spent of a budget")
    needed: float | int | None = Field(None, description="What the job would reserve")
    resets_at: str | None = Field(
        None, description="The end of a budget's period; null: it has none"
    )
    units: list[str] | None = Field(
        None, description="With the problem unknown_price: the currencies that a budget limits"
    )


def job_response(
    listed: ListedJob,
    video_url: str,
    poster_url: str | None = None,
    queue_position: int | None = None,
    waiting: Waiting | None = None,
    waiting_for: CauseResponse | None = None,
) -> JobResponse:
    """Return the fields of a job that clients may read. `poster_url` None: it has no poster."""
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
        poster_url=poster_url,
        created_at=iso(job.created_at),
        updated_at=iso(job.updated_at),
        last_checked_at=maybe_iso(listed.checked_at),
        sequence=job.sequence,
        waiting=maybe_waiting(waiting),
        waiting_for=waiting_for,
        missing_since=maybe_iso(job.missing_since),
        stopped=job.stopped,
        project=maybe_project(job.project),
        priority=Priority(job.priority).word if job.priority else None,
        resolution=listed.resolution,
        negative_prompt=listed.negative_prompt,
        audio=listed.audio,
        references=maybe_references(listed),
        **label_fields(job),
    )


def _cost(job: Job) -> CostResponse | None:
    costs = (
        (job.charged_amount, job.charged_unit, CostKind.CHARGED),
        (job.quoted_amount, job.quoted_unit, CostKind.QUOTED),
        (job.estimated_amount, job.estimated_unit, CostKind.ESTIMATED),
    )
    for amount, unit, kind in costs:
        if amount is None or unit is None:
            continue
        if kind is CostKind.ESTIMATED and job.status in {Status.FAILED, Status.CANCELED}:
            return None  # it may have cost nothing
        charged = kind is CostKind.CHARGED
        return CostResponse(amount=amount, unit=unit, charged=charged, kind=kind)
    return None
