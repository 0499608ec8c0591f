"""The commands of `reelhook projects`."""

import sys
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.client import project_path
from reelhook.cli.endpoint_options import ReadSecret, read_secret
from reelhook.cli.options import AsJson, OverlapHours, ProjectId, Url
from reelhook.cli.project_view import show_created, show_project, show_projects, show_secret
from reelhook.domain.keeping import GIB


def create(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The project's name: letters, digits, dots, hyphens and underscores.",
            show_default=False,
        ),
    ],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Create a project, which owns its jobs, endpoints, keys and budgets."""
    show_response(
        url, lambda api: api.post("/api/projects", {"name": name}), show_created, as_json=as_json
    )


def list_(url: Url = None, as_json: AsJson = False) -> None:
    """List the projects: default, then the others, oldest first."""
    show_response(url, lambda api: api.get("/api/projects"), show_projects, as_json=as_json)


def show(project: ProjectId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a project and its limits."""
    show_response(url, lambda api: api.get(project_path(project)), show_project, as_json=as_json)


def update(
    project: ProjectId,
    *,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The new name.", show_default=False)
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The URL for webhooks of jobs that name none; empty to remove it. On the server's "
            "own machine it is trusted: it may be on this machine or a private network.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A model that its jobs may use. May be repeated. Replaces the previous list; "
            "`all` allows all of them.",
            show_default=False,
        ),
    ] = None,
    weight: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Its share of an account's free slots, relative to other projects.",
            show_default=False,
        ),
    ] = None,
    priority_max: Annotated[
        str | None,
        typer.Option(
            metavar="PRIORITY",
            help="The highest priority of its jobs: low, normal or high.",
            show_default=False,
        ),
    ] = None,
    archive_keep_days: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="The days after which its archived videos are removed, from 1; 0 for the "
            "server's setting.",
            show_default=False,
        ),
    ] = None,
    archive_max_gib: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="GIB",
            help="The most GiB of its archived videos; the oldest are removed first. 0 for no "
            "limit of its own.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change a project. Options that are not given leave their value unchanged."""
    change: dict[str, Any] = {}
    if name is not None:
        change["name"] = name
    if webhook_url is not None:
        change["webhookUrl"] = webhook_url or None
    if model:
        change["models"] = None if "all" in model else model
    if weight is not None:
        change["weight"] = weight
    if priority_max is not None:
        change["priorityMax"] = priority_max
    if archive_keep_days is not None:
        change["archiveKeepDays"] = archive_keep_days or None
    if archive_max_gib is not None:
        change["archiveBytesMax"] = round(archive_max_gib * GIB) or None
    if not change:
        raise typer.BadParameter("give at least one option to change")
    show_response(
        url,
        lambda api: api.patch(project_path(project), change),
        show_project,
        as_json=as_json,
        as_operator="webhookUrl" in change,
    )


def rotate(
    project: ProjectId,
    *,
    overlap_hours: OverlapHours = None,
    secret: ReadSecret = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sign a project's webhooks with a new secret. The old one signs too for a while."""
    body = {"overlapHours": overlap_hours, "secret": read_secret() if secret else None}
    show_response(
        url,
        lambda api: api.post(project_path(project, "/rotate"), body),
        show_secret,
        as_json=as_json,
    )


def close(
    project: ProjectId,
    *,
    delete_data: Annotated[
        bool,
        typer.Option(
            "--delete-data",
            help="Remove its jobs, endpoints and secrets once its jobs have ended and their "
            "webhooks were sent. Costs and the audit trail stay.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stop a project's keys, and take no new jobs in it. Running jobs go on to their end.

    A closed project can't be opened again. Only on a terminal a confirmation is asked for.
    """
    if not yes and sys.stdin.isatty():
        lost = " and remove its data" if delete_data else ""
        if not typer.confirm(f"Close the project {project}{lost}?"):
            raise typer.Exit(1)
    show_response(
        url,
        lambda api: api.post(project_path(project, "/close"), {"deleteData": delete_data}),
        show_project,
        as_json=as_json,
    )
    if not as_json:
        render.hint("Its keys no longer work. Running jobs are watched and delivered to their end.")
