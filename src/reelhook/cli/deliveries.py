"""Commands about events and deliveries: list, inspect and resend."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response, with_api
from reelhook.cli.client import Api, ApiResponse, job_path
from reelhook.cli.delivery_view import (
    FeedView,
    show_attempts,
    show_deliveries,
    show_delivery,
    show_resent,
    show_run,
)
from reelhook.cli.options import AsJson, DeliveryId, InProject, NumberCursor, Url
from reelhook.cli.times import timestamp
from reelhook.cli.watching import REFRESH_SECONDS, get_with_retries


class DeliveryState(StrEnum):
    """The state of a delivery."""

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
            help="Only events after this one: its id, which is the webhook-id.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep printing new events, until Ctrl-C.")
    ] = False,
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="All events of one job.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most events per request.")] = 100,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of all jobs in the order they happened, oldest first.

    An event is the content of a webhook, whether or not it was sent.
    """
    if job is not None and (after is not None or follow):
        raise typer.BadParameter("--job shows all events; remove --after and --follow")
    if follow:
        with_api(url, lambda api: _follow(api, after, limit, as_json=as_json), project=project)
        return

    async def read(api: Api) -> ApiResponse:
        if job is not None:
            return await api.get(job_path(job, "/events"))
        return await api.get("/api/events", after=after, limit=limit)

    show_response(url, read, FeedView().show, as_json=as_json, project=project)


async def _follow(api: Api, after: str | None, limit: int, *, as_json: bool) -> None:
    feed = FeedView()
    page = await api.get("/api/events", after=after, limit=limit)
    while True:
        if as_json:
            feed.dump(page.value)
        else:
            feed.show(page.value)
        if not page.value["more"]:
            await asyncio.sleep(REFRESH_SECONDS)
        after = page.value["nextCursor"]
        page = await get_with_retries(api, "/api/events", after=after, limit=limit)


def list_(
    *,
    state: Annotated[
        DeliveryState | None,
        typer.Option(help="Only deliveries in this state.", show_default=False),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only deliveries of this job.", show_default=False),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only deliveries to this endpoint.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most deliveries to list.")] = 50,
    cursor: NumberCursor = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first.

    A delivery carries one job's events to one endpoint, or is the resend of one event.
    """
    filters = {"state": state and state.value, "jobId": job, "endpointId": endpoint}
    show_response(
        url,
        lambda api: api.get("/api/deliveries", **filters, limit=limit, cursor=cursor),
        show_deliveries,
        as_json=as_json,
        project=project,
    )


def show(delivery_id: DeliveryId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a delivery, its last attempt, and the events that never arrived."""
    path = f"/api/deliveries/{delivery_id}"
    show_response(url, lambda api: api.get(path), show_delivery, as_json=as_json)


def attempts(
    delivery_id: DeliveryId,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most attempts to list.")] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the attempts of a delivery and of its resends, newest first.

    The table has the beginning of each response; --json has its first 16 KiB.
    """
    path = f"/api/deliveries/{delivery_id}/attempts"
    show_response(url, lambda api: api.get(path, limit=limit), show_attempts, as_json=as_json)


def resend(
    delivery_id: Annotated[
        int | None,
        typer.Argument(
            metavar="ID", min=1, help="The delivery whose event is resent.", show_default=False
        ),
    ] = None,
    *,
    sequence: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The sequence number of the job's event. Default: the newest.",
            show_default=False,
        ),
    ] = None,
    failed_since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Resend all events that failed since then: 2h, 3d or 2026-11-23T10:00Z.",
            show_default=False,
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="With --failed-since: only events to this endpoint.",
            show_default=False,
        ),
    ] = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Resend one event, or every event that failed since a given time, once each.

    The webhook-id stays the same, so receivers recognize an event that they already have.
    """
    if (delivery_id is None) == (failed_since is None):
        raise typer.BadParameter("give either a delivery's id or --failed-since")
    if failed_since is None and endpoint is not None:
        raise typer.BadParameter("--endpoint needs --failed-since")
    if failed_since is not None and sequence is not None:
        raise typer.BadParameter("--sequence needs a delivery's id")
    if failed_since is None:
        path = f"/api/deliveries/{delivery_id}/resend"
        body: dict[str, Any] = {"sequence": sequence}
        show_response(
            url,
            lambda api: api.post(path, body),
            show_resent,
            as_json=as_json,
            project=project,
        )
    else:
        failed = {"since": timestamp(failed_since, "--failed-since"), "endpointId": endpoint}
        show_response(
            url,
            lambda api: _resend_failed(api, failed, quiet=as_json),
            show_run,
            as_json=as_json,
            project=project,
        )


async def _resend_failed(api: Api, failed: dict[str, Any], *, quiet: bool) -> ApiResponse:
    """Resend all failed events, and wait until the server has finished."""
    response = await api.post("/api/deliveries/resend", failed)
    path = f"/api/deliveries/resend/{response.value['id']}"
    with render.waiting("Resending", quiet=quiet) as update:
        try:
            while not response.value["finished"]:
                update(f"Resending: {response.value['resent']}")
                await asyncio.sleep(REFRESH_SECONDS)
                response = await get_with_retries(api, path)
        except asyncio.CancelledError:  # Ctrl-C
            render.complain("Stopped watching; the server continues until everything is resent")
            raise
    return response
