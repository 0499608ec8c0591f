"""The bodies that the routes about projects take and return."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field

from reelhook.domain.endpoint import OVERLAP_HOURS_MAX
from reelhook.domain.event import maybe_iso
from reelhook.domain.project import (
    KEEP_DAYS_MAX,
    KEEP_DAYS_MIN,
    MODELS_MAX,
    NAME,
    WEIGHT_MAX,
    Project,
)
from reelhook.doors.fields import Schema, Text, documented
from reelhook.doors.native.endpoint_schemas import Flag, Secret
from reelhook.gateway import ProjectFields

Priority = Literal["low", "normal", "high"]
_PRIORITIES: dict[Priority, int] = {"low": -1, "normal": 0, "high": 1}
_NAMES = {number: name for name, number in _PRIORITIES.items()}
_DEFAULTS: dict[str, Any] = {"weight": 1, "priority_max": "high"}
Name = Annotated[Text, documented(pattern=f"^{NAME}$")]


class NewProjectBody(Schema):
    """A project to create."""

    name: Name = Field(description="Unique; not default, and not beginning with prj_")


class ProjectChangeBody(Schema):
    """The fields to change. Those left out stay; null restores the default."""

    name: Name | None = None
    webhook_url: Text | None = Field(
        None,
        repr=False,
        description="Where webhooks of jobs without a destination go; null: nowhere",
    )
    models: Annotated[list[Text], Field(fail_fast=True, max_length=MODELS_MAX)] | None = Field(
        None, description="The only models that its jobs may use; null: all. For the operator"
    )
    weight: Annotated[int, documented(minimum=1, maximum=WEIGHT_MAX)] | None = Field(
        None, description="Its share of an account's free slots; null: 1. For the operator"
    )
    priority_max: Priority | None = Field(
        None, description="The highest priority of its jobs; null: high. For the operator"
    )

    archive_keep_days: (
        Annotated[float, documented(minimum=KEEP_DAYS_MIN, maximum=KEEP_DAYS_MAX)] | None
    ) = Field(
        None,
        description="The days after which its archived videos are removed; null: "
        "REELHOOK_ARCHIVE_KEEP_DAYS. For the operator",
    )
    archive_bytes_max: Annotated[int, documented(minimum=1)] | None = Field(
        None,
        description="The most bytes of its archived videos; the oldest are removed first; null: "
        "no limit of its own. For the operator",
    )

    def fields(self) -> ProjectFields:
        """Return the given fields, and no others."""
        fields: dict[str, Any] = self.model_dump(include=self.model_fields_set)
        if fields.get("name", ...) is None:
            del fields["name"]
        for name, default in _DEFAULTS.items():
            if fields.get(name, ...) is None:
                fields[name] = default
        if "priority_max" in fields:
            fields["priority_max"] = _PRIORITIES[fields["priority_max"]]
        if fields.get("models") is not None:
            fields["models"] = tuple(fields["models"])
        return cast("ProjectFields", fields)


class CloseBody(Schema):
    """The closing of a project."""

    delete_data: Flag = Field(
        False, description="Remove its jobs, endpoints and secrets once everything has ended"
    )


class ProjectRotateBody(Schema):
    """A rotation of a project's secret."""

    secret: Secret | None = Field(
        None, repr=False, description="The new one; if absent, one is generated"
    )
    overlap_hours: Annotated[float, Field(ge=0, le=OVERLAP_HOURS_MAX)] | None = Field(
        None,
        description="How long the old one signs too; if absent: REELHOOK_SECRET_OVERLAP_HOURS",
    )


class NewProjectResponse(Schema):
    """A new project."""

    id: str
    name: str


class ProjectResponse(Schema):
    """A project's present state."""

    id: str
    name: str
    webhook_url: str | None = Field(description="Where webhooks without a destination go")
    models: list[str] | None = Field(description="The only models it may use; null: all")
    weight: int = Field(description="Its share of an account's free slots")
    priority_max: Priority = Field(description="The highest priority of its jobs")
    archive_keep_days: float | None = Field(
        description="The days for which its archived videos are kept; null: the archive's"
    )
    archive_bytes_max: int | None = Field(
        description="The most bytes of its archived videos; null: no limit of its own"
    )
    previous_secret_until: str | None
    created_at: str | None = Field(description="null for default, until something of it is set")
    closed_at: str | None
    delete_data: bool = Field(description="Its data is removed once everything in it has ended")
    data_deleted_at: str | None


class ProjectSecretResponse(ProjectResponse):
    """A project with its secret."""

    secret: str = Field(repr=False)


class ProjectsResponse(Schema):
    """All projects: default, then the others, oldest first."""

    projects: list[ProjectResponse]


def project_response(project: Project) -> ProjectResponse:
    """Return a project, as a response shows it, without its secret."""
    return ProjectResponse(**_fields(project))


def project_secret_response(project: Project) -> ProjectSecretResponse:
    """Return a project, as a response shows it, with its secret."""
    return ProjectSecretResponse(**_fields(project), secret=project.secret or "")


def _fields(project: Project) -> dict[str, Any]:
    until = project.previous_until if project.previous_secret else None
    return {
        "id": project.id,
        "name": project.name,
        "webhook_url": project.webhook_url,
        "models": None if project.models is None else list(project.models),
        "weight": project.weight,
        "priority_max": _NAMES[project.priority_max],
        "archive_keep_days": project.archive_keep_days,
        "archive_bytes_max": project.archive_bytes_max,
        "previous_secret_until": maybe_iso(until),
        "created_at": maybe_iso(project.created_at or None),
        "closed_at": maybe_iso(project.closed_at),
        "delete_data": project.delete_data,
        "data_deleted_at": maybe_iso(project.data_deleted_at),
    }
