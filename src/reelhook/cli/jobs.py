"""Commands about jobs. They speak HTTP to a server and never open its database."""

import asyncio
import sys
from typing import Annotated, Any
from uuid import uuid4

import typer

from reelhook.cli import render
from reelhook.cli.client import Api, ApiResponse, ResponseLostError, api_client, job_path
from reelhook.cli.options import AsJson, Endpoints, JobId, Url, Watch, WebhookUrl
from reelhook.cli.submit_options import image_uri, provider_options
from reelhook.cli.watching import follow

SUBMIT_TRIES = 3


def submit(
    script: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT", help="What is rendered; - reads it from stdin.", show_default=False
        ),
    ],
    *,
    watch: Watch = False,
    prompt: Annotated[
        str | None, typer.Option(help="Direction, put before the script.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model, e.g. runway/gen4.5; `reelhook models` lists them. "
            "Default: the server's REELHOOK_DEFAULT_MODEL.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        str | None,
        typer.Option(help="The video's length. Default: the provider's.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Its size, e.g. 1280x720. Default: the provider's.",
            show_default=False,
        ),
    ] = None,
    aspect_ratio: Annotated[
        str | None,
        typer.Option(metavar="W:H", help="Instead of a size, e.g. 16:9.", show_default=False),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="URL|PATH",
            help="The image that the video begins with: its URL, or a file.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed brings a similar video.", show_default=False),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A parameter of the provider's own; VALUE may be JSON. May be repeated.",
            show_default=False,
        ),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A model to try where the ones before definitely did not accept. May be repeated.",
            show_default=False,
        ),
    ] = None,
    webhook_url: WebhookUrl = None,
    endpoint: Endpoints = None,
    wallet_address: Annotated[
        str | None, typer.Option(help="Whose job it is; kept as given.", show_default=False)
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="The same key within 24 hours brings the same job, never a second render. "
            "Default: a new one for every call.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a video.

    The server answers at once and watches the job from then on, whether you do or not.
    """
    body = {
        "script": sys.stdin.read() if script == "-" else script,
        "prompt": prompt,
        "model": model,
        "seconds": seconds,
        "size": size,
        "aspectRatio": aspect_ratio,
        "image": None if image is None else image_uri(image),
        "seed": seed,
        "providerOptions": provider_options(option) if option else None,
        "fallbacks": fallback,
        "webhookUrl": webhook_url,
        "endpoints": endpoint,
        "walletAddress": wallet_address,
    }

    async def work() -> None:
        async with api_client(url) as api:
            answer = await _submitted(api, body, idempotency_key or uuid4().hex)
            if not watch:
                render.show(answer, _show_submitted, as_json=as_json)
                return
            if not as_json:
                render.say(f"Job: {answer.value['jobId']}")
            await follow(api, answer.value["jobId"], as_json=as_json, known=True)

    asyncio.run(work())


async def _submitted(api: Api, body: dict[str, Any], key: str) -> ApiResponse:
    for _ in range(SUBMIT_TRIES - 1):
        try:
            return await api.post("/api/generate", body, Idempotency_Key=key)
        except ResponseLostError:
            continue  # the key makes a second request bring the first one's job
    try:
        return await api.post("/api/generate", body, Idempotency_Key=key)
    except ResponseLostError as error:
        raise ResponseLostError(
            f"{error.message}; with --idempotency-key {key} nothing is paid twice"
        ) from None


def _show_submitted(answer: dict[str, Any]) -> None:
    render.show_fields(
        [
            ("Job", answer["jobId"]),
            ("Title", answer["title"]),
            ("Follow it", f"reelhook status {answer['jobId']} --watch"),
        ]
    )


def status(job_id: JobId, watch: Watch = False, url: Url = None, as_json: AsJson = False) -> None:
    """Show how a job fares."""

    async def work() -> None:
        async with api_client(url) as api:
            if watch:
                await follow(api, job_id, as_json=as_json)
            else:
                render.show(await api.get(job_path(job_id)), render.show_job, as_json=as_json)

    asyncio.run(work())


def jobs(
    status: Annotated[
        str | None,
        typer.Option(
            help="Only those: accepted, submitting, queued, processing, completed, failed or "
            "canceled.",
            show_default=False,
        ),
    ] = None,
    in_doubt: Annotated[
        bool,
        typer.Option(
            "--in-doubt",
            help="Only those of which nobody knows whether a provider has them; see `adopt`.",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    cursor: Annotated[
        str | None,
        typer.Option(help="The nextCursor of the page before.", show_default=False),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""

    async def work() -> None:
        async with api_client(url) as api:
            if in_doubt:
                page = await api.get("/api/jobs", inDoubt="true", limit=limit, cursor=cursor)
                render.show(page, render.show_in_doubt, as_json=as_json)
                return
            page = await api.get("/api/jobs", status=status, limit=limit, cursor=cursor)
            render.show(page, render.show_jobs, as_json=as_json)

    asyncio.run(work())


def register(
    sora_job_id: Annotated[
        str,
        typer.Argument(
            metavar="SORA_JOB_ID", help="The provider's id of the job.", show_default=False
        ),
    ],
    job_id: Annotated[
        str | None,
        typer.Option(help="The id it shall have here. Default: a new one.", show_default=False),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            help="Whose job it is: an account, or a provider with one. Default: the first.",
            show_default=False,
        ),
    ] = None,
    webhook_url: WebhookUrl = None,
    endpoint: Endpoints = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Watch a job that was created at the provider elsewhere.

    Registering twice is registering once.
    """
    body = {
        "soraJobId": sora_job_id,
        "jobId": job_id,
        "account": account,
        "webhookUrl": webhook_url,
        "endpoints": endpoint,
    }
    _post("/api/jobs/register", body, url=url, as_json=as_json)


def adopt(
    job_id: JobId,
    sora_job_id: Annotated[
        str,
        typer.Argument(
            metavar="SORA_JOB_ID",
            help="The provider's id of the job, as its own pages show it.",
            show_default=False,
        ),
    ],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Watch what a job in doubt turned out to be, as a new job with the same endpoints."""
    _post(job_path(job_id, "/adopt"), {"soraJobId": sora_job_id}, url=url, as_json=as_json)


def abandon(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Settle that a job in doubt is not to be found; it leaves the list of those."""
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody is here to confirm it; add --yes")
        if not typer.confirm(f"Have you looked for {job_id} at the provider, and it is not there?"):
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
            "--force", help="Stop watching even if the provider can't cancel and wants its money."
        ),
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job.

    Where the provider can't cancel, the render is paid for: the command then says so and changes
    nothing.
    """
    _post(job_path(job_id, "/cancel"), {"force": force}, url=url, as_json=as_json)


def _post(path: str, body: dict[str, Any] | None, *, url: str | None, as_json: bool) -> None:
    async def work() -> None:
        async with api_client(url) as api:
            render.show(await api.post(path, body), render.show_job, as_json=as_json)

    asyncio.run(work())
