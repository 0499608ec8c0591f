"""`reelhook demo`: one job from request to webhook and MP4, on this machine alone."""

import asyncio
import io
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.client import Api, api_at, job_path
from reelhook.cli.demo_dashboard import show_dashboard
from reelhook.cli.demo_view import DemoView, demo_view
from reelhook.domain.errors import ReelhookError
from reelhook.telemetry import lines as logs

if TYPE_CHECKING:
    from reelhook.cli.receiver import Receiver
    from reelhook.cli.video_check import CheckedVideo

DEMO_SECONDS_MAX = 28.0
RENDER_SECONDS, QUEUE_SECONDS = 6.0, 1.0
POLL_SECONDS, REFRESH_SECONDS = 0.5, 0.2
SCRIPT = "A lighthouse at dusk, waves rolling in"


class DemoFailedError(ReelhookError):
    """The demo did not succeed."""

    code = "demo_failed"


def demo(
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="The text of the video.")
    ] = SCRIPT,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The file for the MP4.")
    ] = Path("reelhook-demo.mp4"),
    provider: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER",
            help="The provider to simulate: openai, ark, fal, replicate, runway or xai.",
        ),
    ] = "openai",
    dashboard: Annotated[
        bool,
        typer.Option(
            "--dashboard",
            help="Show the dashboard with jobs in every state, until Ctrl-C; makes no file.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the server's log too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run one job from request to webhook and MP4, without a key, in under half a minute.

    A simulated provider, a server and a webhook receiver run on free loopback ports with a
    temporary database. Exit 0 only if the video can be decoded and the job's final webhook
    arrived exactly once.
    """
    if dashboard:
        with Path(os.devnull).open("w") as nowhere:
            logs.configure(verbose, sys.stderr if verbose else nowhere)
            asyncio.run(show_dashboard(as_json=as_json))
        return
    _check_provider(provider)
    _check_writable(output)
    log = io.StringIO()
    logs.configure(verbose, sys.stderr if verbose else log)
    try:
        asyncio.run(_demo(script, provider, output, demo_view(quiet=as_json), as_json=as_json))
    except ReelhookError:
        sys.stderr.write(log.getvalue())
        raise


async def _demo(script: str, provider: str, output: Path, view: DemoView, *, as_json: bool) -> None:
    from reelhook.cli.video_check import examine  # noqa: PLC0415 - not needed for --help

    try:
        async with asyncio.timeout(DEMO_SECONDS_MAX):
            async with _everything(view) as (api, receiver):
                request = {"script": script, **await _options_of(api, provider)}
                job = await _show_job(request, api, receiver, view)
                await _download(api, str(job["videoUrl"]), output)
            # Everything has stopped, so no further webhook can arrive.
            video = await asyncio.to_thread(examine, output)
    except TimeoutError:
        raise DemoFailedError(
            f"The demo did not finish within {DEMO_SECONDS_MAX:g} s; is this machine very busy?"
        ) from None
    _check(receiver)
    if as_json:
        render.say(json.dumps(_document(job, video, receiver)))
    else:
        view.finish(video, len(receiver.webhooks))


@asynccontextmanager
async def _everything(view: DemoView) -> AsyncIterator[tuple[Api, "Receiver"]]:
    """Start the provider, the receiver and the server; stop them in reverse order."""
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help
    from reelhook.cli.receiver import receiving  # noqa: PLC0415 - as above
    from reelhook.config import Settings  # noqa: PLC0415 - as above
    from reelhook.simulator.faults import Faults  # noqa: PLC0415 - as above

    secret = secrets.token_urlsafe(24)
    faults = Faults(render_seconds=RENDER_SECONDS, queue_seconds=QUEUE_SECONDS)
    async with AsyncExitStack() as stack:
        # First, since its error explains a missing temporary directory.
        provider = await stack.enter_async_context(bootstrap.simulator(faults))
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="reelhook-demo-"))
        receiver = await stack.enter_async_context(receiving(secret, view.webhook))
        settings = Settings.of(
            port=0,
            data_dir=directory,
            webhook_secret=secret,
            allow_networks="127.0.0.1/32",
            poll_seconds=POLL_SECONDS,
        )
        running = await stack.enter_async_context(
            bootstrap.server(settings, simulator_url=provider.removesuffix("/v1"))
        )
        api = await stack.enter_async_context(api_at(running.url))
        view.start(provider=provider, server=running.url, receiver=receiver.url)
        yield api, receiver


async def _options_of(api: Api, provider: str) -> dict[str, Any]:
    """Return a request's options for a provider's first model and its shortest video."""
    catalog = (await api.get("/api/models")).value
    if provider == "openai":
        return {"seconds": "4", "size": "1280x720"}
    model = next(
        model
        for model in catalog["models"]
        if model["provider"] == provider and model["image"] != "required"
    )
    options = {"model": model["model"]}
    if model["seconds"]:
        options["seconds"] = min(model["seconds"], key=float)
    if "16:9" in (model["aspectRatios"] or ()):
        options["aspectRatio"] = "16:9"
    return options


async def _show_job(
    request: dict[str, Any], api: Api, receiver: "Receiver", view: DemoView
) -> dict[str, Any]:
    body = {**request, "webhookUrl": receiver.url}
    created = (await api.post("/api/generate", body)).value
    view.created(created)
    with view.running():
        while True:
            job = (await api.get(job_path(created["jobId"]))).value
            view.progress(str(job["status"]), int(job["progress"]))
            if receiver.ended.is_set():
                break
            await asyncio.sleep(REFRESH_SECONDS)
    if job["status"] != "completed":
        raise DemoFailedError(f"The job is {job['status']}: {job['error']}")
    return job


async def _download(api: Api, url: str, output: Path) -> None:
    with output.open("wb") as file:
        async for chunk in api.download(url):
            file.write(chunk)


def _check(receiver: "Receiver") -> None:
    if not all(webhook.verified for webhook in receiver.webhooks):
        raise DemoFailedError("A webhook had a wrong signature")
    if len(receiver.terminal) != 1:
        raise DemoFailedError(
            f"The job's final webhook arrived {len(receiver.terminal)} times, not once"
        )


def _check_provider(provider: str) -> None:
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    accounts = bootstrap.simulated_accounts("http://127.0.0.1")
    simulated = [account.provider for account in accounts]
    if provider not in simulated:
        raise typer.BadParameter(
            f"{provider} is not simulated; name one of {', '.join(simulated)}",
            param_hint="--provider",
        )


def _check_writable(output: Path) -> None:
    was_there = output.exists()
    try:
        with output.open("ab"):
            pass
        if not was_there:
            output.unlink()
    except OSError as error:
        raise DemoFailedError(
            f"{output} can't be written ({error.strerror}); choose another file with --output"
        ) from None


def _document(job: dict[str, Any], video: "CheckedVideo", receiver: "Receiver") -> dict[str, Any]:
    return {
        "jobId": job["jobId"],
        "path": str(video.path.resolve()),
        "bytes": video.size_bytes,
        "seconds": video.seconds,
        "width": video.width,
        "height": video.height,
        "webhooks": [webhook.body for webhook in receiver.webhooks],
    }
