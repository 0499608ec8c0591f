"""Following a job to its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from reelhook.cli.client import (
    Api,
    ApiResponse,
    ResponseLostError,
    ServerUnreachableError,
    job_path,
)
from reelhook.cli.render import STATUS_STYLES, complain, console, on_terminal, say
from reelhook.domain.errors import ReelhookError
from reelhook.telemetry.lines import printable

REFRESH_SECONDS = 0.5
RETRY_SECONDS_MAX = 30.0
"""The longest outage of a server, e.g. a restart, that a command waits for."""
TERMINAL = frozenset({"completed", "failed", "canceled"})
_UNSTEADY = frozenset({"lastCheckedAt", "updatedAt"})


class JobNotCompletedError(ReelhookError):
    """The watched job ended without completing."""

    code = "job_not_completed"


async def follow(api: Api, job_id: str, *, as_json: bool, known: bool = False) -> None:
    """Show every change of a job until it ends. Raises `JobNotCompletedError`.

    `known`: the server has responded before, so even the first request is retried.
    """
    jobs = changes(api, job_id, known=known)
    show = _follow_json if as_json else _follow_bar if on_terminal() else _follow_lines
    try:
        job = await show(jobs)
    except asyncio.CancelledError:  # Ctrl-C
        complain(f"Stopped watching; the job continues: reelhook status {job_id} --watch")
        raise
    if job["status"] != "completed":
        why = f": {job['error']}" if job["error"] else ""
        code = f" ({job['code']})" if job["code"] else ""
        raise JobNotCompletedError(f"The job {job_id} is {job['status']}{why}{code}")
    if not as_json:
        say(f"Video: {job['videoUrl']}")


async def changes(api: Api, job_id: str, *, known: bool) -> AsyncIterator[ApiResponse]:
    """Yield the job now, and after every change until it has ended."""
    seen: dict[str, Any] = {}
    while True:
        path = job_path(job_id)
        read = get_with_retries(api, path) if known else api.get(path)
        response, known = await read, True
        steady = {name: value for name, value in response.value.items() if name not in _UNSTEADY}
        steady["waitingFor"] = steady.get("waitingFor", {}).get("cause")  # its words may change
        if steady != seen:
            seen = steady
            yield response
        if response.value["status"] in TERMINAL:
            return
        await asyncio.sleep(REFRESH_SECONDS)


async def get_with_retries(api: Api, path: str, **parameters: str | int | None) -> ApiResponse:
    """Send a GET request, and retry while the server is unreachable. Raises like `Api.get`."""
    give_up_at = asyncio.get_running_loop().time() + RETRY_SECONDS_MAX
    while True:
        try:
            return await api.get(path, **parameters)
        except (ServerUnreachableError, ResponseLostError):
            if asyncio.get_running_loop().time() > give_up_at:
                raise
            await asyncio.sleep(REFRESH_SECONDS)


async def _follow_json(jobs: AsyncIterator[ApiResponse]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    async for response in jobs:
        job = response.value
        say(response.text)
    return job


async def _follow_lines(jobs: AsyncIterator[ApiResponse]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    async for response in jobs:
        job = response.value
        reason = job.get("waiting", {}).get("lastResponse")
        say(f"{job['status']} {job['progress']} %" + (f": {printable(reason)}" if reason else ""))
    return job


async def _follow_bar(jobs: AsyncIterator[ApiResponse]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    shown: str | None = None
    with progress_bar() as progress:
        task = progress.add_task("", total=100)
        async for response in jobs:
            job = response.value
            show_progress(progress, task, str(job["status"]), int(job["progress"]))
            reason = job.get("waiting", {}).get("lastResponse")
            if reason != shown and reason is not None:
                progress.console.print(printable(reason), style="dim", markup=False)
            shown = reason
    return job


def progress_bar() -> Progress:
    """Return a bar for one job: spinner, status, progress and elapsed time."""
    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=40, complete_style="cyan", finished_style="green"),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console(),
    )


def show_progress(progress: Progress, task: Any, status: str, percent: int) -> None:
    """Update the bar."""
    style = STATUS_STYLES.get(status, "dim")
    progress.update(task, description=f"[{style}]{printable(status):<10}[/]", completed=percent)
