"""Commands about jobs. They speak HTTP to a server and never open its database."""

import sys
from typing import Annotated, Any

import typer

from reelhook.cli.calls import show_response, with_api
from reelhook.cli.client import job_path
from reelhook.cli.job_view import show_in_doubt, show_job, show_jobs
from reelhook.cli.options import AsJson, Endpoints, InProject, JobId, Url, Watch, WebhookUrl
from reelhook.cli.watching import follow

ProviderJobId = Annotated[
    str,
    typer.Argument(
        metavar="SORA_JOB_ID",
        help="The job's id at the provider, as the provider's own pages show it.",
        show_default=False,
    ),
]


def status(job_id: JobId, watch: Watch = False, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job's status."""
    if watch:
        with_api(url, lambda api: follow(api, job_id, as_json=as_json))
    else:
        show_response(url, lambda api: api.get(job_path(job_id)), show_job, as_json=as_json)


def jobs(
    status: Annotated[
        str | None,
        typer.Option(
            help="Only jobs with this status: accepted, submitting, queued, processing, "
            "completed, failed or canceled.",
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
    filters = {"inDoubt": "true"} if in_doubt else {"status": status}
    show_response(
        url,
        lambda api: api.get("/api/jobs", **filters, limit=limit, cursor=cursor),
        show_in_doubt if in_doubt else show_jobs,
        as_json=as_json,
        project=project,
    )


def register(
    sora_job_id: ProviderJobId,
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


def _post(
    path: str,
    body: dict[str, Any] | None,
    *,
    url: str | None,
    as_json: bool,
    project: str | None = None,
) -> None:
    show_response(url, lambda api: api.post(path, body), show_job, as_json=as_json, project=project)
