"""Commands about jobs. They speak HTTP to a server and never open its database."""

import sys
from functools import partial
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response, with_api
from reelhook.cli.client import Api, ApiError, job_path
from reelhook.cli.error_messages import command_line_message
from reelhook.cli.job_view import show_in_doubt, show_job, show_jobs
from reelhook.cli.options import (
    AsJson,
    Endpoints,
    ExternalId,
    InProject,
    JobId,
    Metadata,
    Url,
    Watch,
    WebhookUrl,
)
from reelhook.cli.submit_options import metadata_of
from reelhook.cli.times import timestamp
from reelhook.cli.watching import follow
from reelhook.domain.errors import ReelhookError

ProviderJobId = Annotated[
    str,
    typer.Argument(
        metavar="SORA_JOB_ID",
        help="The job's id at the provider, as the provider's own pages show it.",
        show_default=False,
    ),
]
JobIds = Annotated[
    list[str], typer.Argument(metavar="ID", help="The jobs' ids.", show_default=False)
]


class NotDeletedError(ReelhookError):
    """A job was not deleted; those before it on the command line were."""

    code = "not_deleted"


def status(job_id: JobId, watch: Watch = False, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job's status."""
    if watch:
        with_api(url, lambda api: follow(api, job_id, as_json=as_json))
    else:
        show_response(url, lambda api: api.get(job_path(job_id)), show_job, as_json=as_json)


def jobs(
    *,
    status: Annotated[
        str | None,
        typer.Option(
            help="Only jobs with this status: accepted, submitting, queued, processing, "
            "completed, failed or canceled.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Only jobs of this model, as its provider names it, e.g. sora-2.",
            show_default=False,
        ),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(help="Only failed jobs with this code, e.g. quota.", show_default=False),
    ] = None,
    external_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only jobs with this id of yours.", show_default=False),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Only jobs with this metadata. May be repeated: all must match.",
            show_default=False,
        ),
    ] = None,
    created_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only jobs created later: 2h, 3d or 2026-11-23T10:00Z.",
            show_default=False,
        ),
    ] = None,
    created_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only jobs created earlier: 2h, 3d or 2026-11-23T10:00Z.",
            show_default=False,
        ),
    ] = None,
    cause: Annotated[
        str | None,
        typer.Option(
            help="Only jobs that this cause holds up, e.g. provider_slow; see `attention`.",
            show_default=False,
        ),
    ] = None,
    in_doubt: Annotated[
        bool,
        typer.Option(
            "--in-doubt",
            help="Only jobs that a provider may or may not have accepted; see `adopt`.",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most jobs to list.")] = 50,
    cursor: Annotated[
        str | None,
        typer.Option(help="The nextCursor of the previous page.", show_default=False),
    ] = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    pairs = metadata_of(metadata) or {}
    filters = {
        "model": model,
        "code": code,
        "externalId": external_id,
        "cause": cause,
        "createdAfter": created_after and timestamp(created_after, "--created-after"),
        "createdBefore": created_before and timestamp(created_before, "--created-before"),
        **{f"metadata.{name}": value for name, value in pairs.items()},
    }
    filters |= {"inDoubt": "true"} if in_doubt else {"status": status}
    is_filtered = any(value is not None for value in filters.values())
    show_response(
        url,
        lambda api: api.get("/api/jobs", **filters, limit=limit, cursor=cursor),
        show_in_doubt if in_doubt else partial(show_jobs, is_filtered=is_filtered),
        as_json=as_json,
        project=project,
    )


def register(
    sora_job_id: ProviderJobId,
    *,
    job_id: Annotated[
        str | None,
        typer.Option(help="The id that the job gets here. Default: a new one.", show_default=False),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            help="The account that the job belongs to, or a provider with one account. "
            "Default: the first.",
            show_default=False,
        ),
    ] = None,
    webhook_url: WebhookUrl = None,
    endpoint: Endpoints = None,
    project: InProject = None,
    external_id: ExternalId = None,
    metadata: Metadata = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Watch a job that was created at the provider by other means.

    Registering a job twice has no further effect.
    """
    body = {
        "soraJobId": sora_job_id,
        "jobId": job_id,
        "account": account,
        "webhookUrl": webhook_url,
        "endpoints": endpoint,
        "externalId": external_id,
        "metadata": metadata_of(metadata),
    }
    _post("/api/jobs/register", body, url=url, as_json=as_json, project=project)


def adopt(
    job_id: JobId,
    sora_job_id: ProviderJobId,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Settle a job in doubt that you found at the provider.

    The provider's job is watched as a new job, with the same request and endpoints.
    """
    _post(job_path(job_id, "/adopt"), {"soraJobId": sora_job_id}, url=url, as_json=as_json)


def abandon(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Settle a job in doubt that does not exist at the provider.

    Look for it on the provider's own pages first. The job leaves the list of jobs in doubt.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("no terminal to confirm it on; add --yes")
        if not typer.confirm(f"Have you checked that {job_id} does not exist at the provider?"):
            raise typer.Exit(1)
    _post(job_path(job_id, "/abandon"), None, url=url, as_json=as_json)


def poll(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Check a job at its provider now, without waiting for the next round."""
    _post(job_path(job_id, "/poll"), None, url=url, as_json=as_json)


def cancel(
    job_id: JobId,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Stop watching even if the provider can't cancel and charges for the render.",
        ),
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job.

    If the provider can't cancel, the render is paid for. The command then says so and changes
    nothing.
    """
    _post(job_path(job_id, "/cancel"), {"force": force}, url=url, as_json=as_json)


def delete(
    job_ids: JobIds,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    url: Url = None,
) -> None:
    """Delete jobs: their texts, files, links and waiting webhooks. Their costs still count.

    An unfinished job is canceled first. If its provider can't cancel, it is not deleted.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("no terminal to confirm it on; add --yes")
        if not typer.confirm(f"Delete {', '.join(job_ids)}? Nothing brings this back."):
            raise typer.Exit(1)

    async def work(api: Api) -> None:
        for job_id in dict.fromkeys(job_ids):
            try:
                await api.delete(job_path(job_id))
            except ApiError as error:
                raise NotDeletedError(f"{job_id}: {command_line_message(error)}") from error
            render.say(f"Deleted {job_id}.")

    with_api(url, work)


def _post(
    path: str,
    body: dict[str, Any] | None,
    *,
    url: str | None,
    as_json: bool,
    project: str | None = None,
) -> None:
    show_response(url, lambda api: api.post(path, body), show_job, as_json=as_json, project=project)
