"""The bodies of responses below `/v4/ai`, and the OpenAPI document of its errors.

The wire is `gateway-video-model.ts` and `gateway-fetch-metadata.ts` of `@ai-sdk/gateway` 4.0.146.
"""

from typing import Any, Literal

from pydantic import Field

from reelhook.domain.job import Job, Status
from reelhook.doors.vercel.body import WireModel

Operation = dict[str, str]
OPERATION_JOB = "jobId"


class WireWarning(WireModel):
    """A part of the request that was ignored."""

    type: str
    feature: str | None = None
    details: str | None = None
    message: str | None = None


class Started(WireModel):
    """The response to a start. A client keeps `operation`, and sends it for the status."""

    operation: dict[str, str]
    warnings: list[WireWarning]
    provider_metadata: dict[str, dict[str, Any]] = Field(
        description="`gateway.asyncJob`: the job's id, and the secret that signs its webhooks"
    )


class VideoData(WireModel):
    """A finished video: a `url`, or `data` in base64."""

    type: Literal["url", "base64"]
    url: str | None = Field(None, repr=False)
    data: str | None = None
    media_type: str


class VideoStatus(WireModel):
    """The status of an operation. `videos` only if it is completed, `error` only if it failed."""

    status: Literal["pending", "completed", "error", "cancelled"]
    videos: list[VideoData] | None = None
    error: str | None = None
    warnings: list[WireWarning] | None = None
    provider_metadata: dict[str, dict[str, Any]]


class Specification(WireModel):
    """The model's name for the client."""

    specification_version: Literal["v4"] = "v4"
    provider: str
    model_id: str


class ListedModel(WireModel):
    """A model that a request may name."""

    id: str
    name: str
    specification: Specification
    model_type: Literal["video"] = "video"


class GatewayConfig(WireModel):
    """The models."""

    models: list[ListedModel]


class GatewayErrorObject(WireModel):
    """The details of an error, with the remedy."""

    message: str
    type: str
    param: Any = Field(description="The field that is wrong; for an unknown model {modelId}")
    code: str = Field(description="Stable, for programs")


class GatewayErrorBody(WireModel):
    """The form of every error below `/v4/ai`."""

    error: GatewayErrorObject


_STATUS: dict[Status, Literal["completed", "error", "cancelled"]] = {
    Status.COMPLETED: "completed",
    Status.FAILED: "error",
    Status.CANCELED: "cancelled",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_REFUSALS = {
    400: "A field is wrong; `param` names it",
    401: "No valid key",
    402: "A budget has no room for the job",
    403: "The key may not do this",
    404: "No such model or operation, or no file any more",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The `Idempotency-Key` came with another body",
    424: "`acceptance_unknown`: it may have been done, so check before you send it again",
    429: "Too many requests, or too many jobs",
    500: "reelhook failed",
    502: "The provider could not be reached",
    503: "The database can't be used now, or other requests use all memory",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    **{
        status: {
            "model": GatewayErrorBody,
            "description": meaning,
            **({"headers": _RETRY_AFTER} if status in {429, 503} else {}),
        }
        for status, meaning in _REFUSALS.items()
    },
    "4XX": {"model": GatewayErrorBody, "description": "What is wrong, and what to do"},
    "5XX": {"model": GatewayErrorBody, "description": "reelhook or the provider failed"},
}


def wire_status(job: Job) -> Literal["pending", "completed", "error", "cancelled"]:
    """Return the word for a job's status."""
    return _STATUS.get(job.status, "pending")


def metadata_of(job: Job) -> dict[str, dict[str, Any]]:
    """Return what only reelhook knows of a job, as a provider's metadata."""
    known = {
        "jobId": job.id,
        "status": job.status.value,
        "progress": job.progress,
        "model": f"{job.provider}/{job.model}" if job.model else job.provider,
        "code": job.code,
    }
    return {"reelhook": {name: value for name, value in known.items() if value is not None}}


def error_of(job: Job) -> str:
    """Return the reason why a job has no video."""
    return job.error or f"The video was {job.status.value}"
