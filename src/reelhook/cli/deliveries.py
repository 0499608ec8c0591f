"""The commands about events and deliveries: read what was sent, and send it anew."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.client import Api, ApiResponse, api_client, job_path
from reelhook.cli.delivery_view import (
    Feed,
    show_attempts,
    show_deliveries,
    show_delivery,
    show_resent,
    show_run,
)
from reelhook.cli.options import AsJson, DeliveryId, Url
from reelhook.cli.watching import LOOK_SECONDS, get_with_retries

_AGO = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class DeliveryState(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    ENDED = "ended"


def events(
    *,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Those behind this event: its id, which is the webhook-id.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with every new one, until Ctrl-C.")
    ] = False,
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The whole history of one job.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at once.")] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of all jobs in the order they happened, oldest first.

    An event is what a webhook tells, whether it was sent or not.
    """
    if job is not None and (after is not None or follow):
        raise typer.BadParameter("--job shows a whole history; leave --after and --follow out")

    async def work() -> None:
        async with api_client(url) as api:
            if job is not None:
                page = await api.get(job_path(job, "/events"))
                render.show(page, Feed().show, as_json=as_json)
            elif follow:
                await _follow(api, after, limit, as_json=as_json)
            else:
                page = await api.get("/api/events", after=after, limit=limit)
                render.show(page, Feed().show, as_json=as_json)

    asyncio.run(work())


async def _follow(api: Api, after: str | None, limit: int, *, as_json: bool) -> None:
    feed = Feed()
    page = await api.get("/api/events", after=after, limit=limit)
    while True:
        if as_json:
            feed.dump(page.value)
        else:
            feed.show(page.value)
        if not page.value["more"]:
            await asyncio.sleep(LOOK_SECONDS)
        after = page.value["nextCursor"]
        page = await get_with_retries(api, "/api/events", after=after, limit=limit)


def list_(
    *,
    state: Annotated[
        DeliveryState | None, typer.Option(help="Only those.", show_default=False)
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="ID", help="Of one job.", show_default=False)
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="ID", help="To one endpoint.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    cursor: Annotated[
        int | None,
        typer.Option(min=1, help="The nextCursor of the page before.", show_default=False),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first.

    A delivery is one job's events at one endpoint, or an event that was sent anew.
    """
    wanted = {"state": state and state.value, "jobId": job, "endpointId": endpoint}

    async def work() -> None:
        async with api_client(url) as api:
            page = await api.get("/api/deliveries", **wanted, limit=limit, cursor=cursor)
            render.show(page, show_deliveries, as_json=as_json)

    asyncio.run(work())


def show(delivery_id: DeliveryId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a delivery, its last attempt, and the events that never arrived."""

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.get(f"/api/deliveries/{delivery_id}")
            render.show(answer, show_delivery, as_json=as_json)

    asyncio.run(work())


def attempts(
    delivery_id: DeliveryId,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List a delivery's attempts, newest first, and those of its resends.

    The table has the beginning of what the receiver answered, --json the first 16 KiB.
    """

    async def work() -> None:
        async with api_client(url) as api:
            page = await api.get(f"/api/deliveries/{delivery_id}/attempts", limit=limit)
            render.show(page, show_attempts, as_json=as_json)

    asyncio.run(work())


def resend(
    delivery_id: Annotated[
        int | None,
        typer.Argument(
            metavar="ID", min=1, help="The delivery whose event is sent.", show_default=False
        ),
    ] = None,
    *,
    sequence: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Which of the job's events. Default: the newest.",
            show_default=False,
        ),
    ] = None,
    failed_since: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT",
            help="All events that failed since then: 2h, 3d or 2026-11-23T10:00Z.",
            show_default=False,
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="With --failed-since: at this endpoint alone.", show_default=False
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send an event anew, or all that failed since a moment, each once.

    The webhook-id stays the same, so that receivers know it again.
    """
    if (delivery_id is None) == (failed_since is None):
        raise typer.BadParameter("name either a delivery's id or --failed-since")
    if failed_since is None and endpoint is not None:
        raise typer.BadParameter("--endpoint goes with --failed-since")
    if failed_since is not None and sequence is not None:
        raise typer.BadParameter("--sequence goes with a delivery's id")
    since = None if failed_since is None else _moment(failed_since)

    async def work() -> None:
        async with api_client(url) as api:
            if since is None:
                path = f"/api/deliveries/{delivery_id}/resend"
                answer = await api.post(path, {"sequence": sequence})
                render.show(answer, show_resent, as_json=as_json)
            else:
                body = {"since": since, "endpointId": endpoint}
                answer = await _run(api, body, quiet=as_json)
                render.show(answer, show_run, as_json=as_json)

    asyncio.run(work())


async def _run(api: Api, body: dict[str, Any], *, quiet: bool) -> ApiResponse:
    """Have all sent anew that failed; wait until the server is through."""
    answer = await api.post("/api/deliveries/resend", body)
    path = f"/api/deliveries/resend/{answer.value['id']}"
    with render.waiting("Sending anew", quiet=quiet) as tell:
        try:
            while not answer.value["finished"]:
                tell(f"Sending anew: {answer.value['resent']}")
                await asyncio.sleep(LOOK_SECONDS)
                answer = await get_with_retries(api, path)
        except asyncio.CancelledError:  # Ctrl-C
            render.complain("Stopped watching; the server goes on until all is sent anew")
            raise
    return answer


def _moment(text: str) -> str:
    """Return a moment as the API wants it; `2h` is two hours ago."""
    try:
        if match := _AGO.fullmatch(text.strip()):
            ago = timedelta(**{_UNITS[match[2]]: int(match[1])})
            return (datetime.now(UTC) - ago).isoformat()
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is no moment; write 2h or 3d, or 2026-11-23T10:00Z with its time zone",
            param_hint="--failed-since",
        )
    return moment.isoformat()
