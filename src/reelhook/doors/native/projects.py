"""Projects: create, list, change, close, rotate their secrets."""

from fastapi import APIRouter

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.native.endpoints import checked_url
from reelhook.doors.native.project_schemas import (
    CloseBody,
    NewProjectBody,
    NewProjectResponse,
    ProjectChangeBody,
    ProjectResponse,
    ProjectRotateBody,
    ProjectSecretResponse,
    ProjectsResponse,
    project_response,
    project_secret_response,
)
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(prefix="/api/projects", tags=["projects"], route_class=KeyRoute)


@router.post("", status_code=201, summary="Create a project")
@needs(Scope.OPERATOR)
async def create(context: ContextOf, body: NewProjectBody) -> NewProjectResponse:
    """Create a project, which owns its jobs, endpoints, keys and budgets."""
    project = await context.gateway.projects.create(context.caller, body.name)
    return NewProjectResponse(id=project.id, name=project.name)


@router.get("", summary="List projects")
@needs(Scope.OPERATOR)
async def list_projects(context: ContextOf) -> ProjectsResponse:
    """Return all projects: `default`, then the others, oldest first."""
    listed = await context.gateway.projects.all(context.caller)
    return ProjectsResponse(projects=[project_response(project) for project in listed])


@router.get("/{project_id}", summary="Read a project")
@needs(Scope.ADMIN)
async def read(project_id: str, context: ContextOf) -> ProjectResponse:
    """Return a project, by its id or name."""
    return project_response(await context.gateway.projects.one(context.caller, project_id))


@router.patch("/{project_id}", summary="Change a project")
@needs(Scope.ADMIN)
async def change(project_id: str, context: ContextOf, body: ProjectChangeBody) -> ProjectResponse:
    """Change the given fields. Only the operator may change models, weight and priority."""
    projects, caller = context.gateway.projects, context.caller
    await projects.one(caller, project_id)
    trusted = False
    if body.webhook_url is not None:
        trusted = await checked_url(context, body.webhook_url, field="webhookUrl")
    changed = await projects.change(caller, project_id, body.fields(), trusted=trusted)
    return project_response(changed)


@router.post("/{project_id}/close", summary="Close a project")
@needs(Scope.OPERATOR)
async def close(
    project_id: str, context: ContextOf, body: CloseBody | None = None
) -> ProjectResponse:
    """Stop its keys, and take no new jobs in it. Running jobs go on to their end, with webhooks.

    With `deleteData`, its jobs, endpoints and secrets are then removed. Its costs and its part of
    the audit trail stay.
    """
    closed = await context.gateway.projects.close(
        context.caller, project_id, delete_data=body is not None and body.delete_data
    )
    return project_response(closed)


@router.post("/{project_id}/rotate", summary="Rotate a project's secret")
@needs(Scope.ADMIN)
async def rotate(
    project_id: str, context: ContextOf, body: ProjectRotateBody | None = None
) -> ProjectSecretResponse:
    """Sign with a new secret. For a while `webhook-signature` also has the old one's signature,
    and `X-Signature`, a single value, stays on the old one.
    """
    body = body or ProjectRotateBody()
    project = await context.gateway.projects.rotate(
        context.caller, project_id, body.secret, body.overlap_hours
    )
    return project_secret_response(project)
