"""The commands of `reelhook endpoints`."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.client import Api, api_client, endpoint_path
from reelhook.cli.endpoint_options import (
    Broadcast,
    Concurrency,
    Description,
    Events,
    Headers,
    ReadSecret,
    chosen,
    read_secret,
)
from reelhook.cli.endpoint_view import show_endpoint, show_endpoints, show_secret, show_test
from reelhook.cli.options import AsJson, EndpointId, Url
from reelhook.domain.errors import ReelhookError
from reelhook.telemetry.lines import printable


class NotTakenError(ReelhookError):
    """The receiver did not take a test event."""

    code = "not_taken"


def list_(
    failing: Annotated[
        bool,
        typer.Option("--failing", help="Those that are held back, jobs' own URLs too."),
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List registered endpoints and the default one, WEBHOOK_URL."""

    async def work() -> None:
        async with api_client(url) as api:
            page = await api.get("/api/endpoints", failing="true" if failing else None)
            render.show(page, show_endpoints, as_json=as_json)

    asyncio.run(work())


def add(
    webhook_url: Annotated[
        str, typer.Argument(metavar="URL", help="Where webhooks go.", show_default=False)
    ],
    *,
    description: Description = None,
    event: Events = None,
    header: Headers = None,
    concurrency: Concurrency = None,
    broadcast: Broadcast = None,
    secret: ReadSecret = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Register where webhooks go; the secret that signs them is shown only now.

    On the server's own machine the URL is trusted: it may be on this machine or a private network.
    """
    fields = chosen(description, event, header, concurrency, broadcast)
    given = {"secret": read_secret()} if secret else {}

    async def work() -> None:
        async with api_client(url, as_operator=True) as api:
            answer = await api.post("/api/endpoints", {"url": webhook_url, **fields, **given})
            render.show(answer, show_secret, as_json=as_json)

    asyncio.run(work())


def show(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Show an endpoint and how it fares."""

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.get(endpoint_path(endpoint_id))
            render.show(answer, show_endpoint, as_json=as_json)

    asyncio.run(work())


def update(
    endpoint_id: EndpointId,
    *,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where its webhooks go from now on, what waits too.",
            show_default=False,
        ),
    ] = None,
    description: Description = None,
    event: Events = None,
    header: Headers = None,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Take its own headers away.")
    ] = False,
    concurrency: Concurrency = None,
    broadcast: Broadcast = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint; what is not named stays.

    Events and headers take the place of those before. An empty description removes it.
    """
    if header and no_headers:
        raise typer.BadParameter("give either --header or --no-headers")
    change = chosen(description, event, header, concurrency, broadcast)
    change |= {"headers": None} if no_headers else {}
    change |= {"url": webhook_url} if webhook_url is not None else {}
    if not change:
        raise typer.BadParameter("name at least one thing to change")
    _change(endpoint_id, change, url=url, as_json=as_json)


def enable(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Send to an endpoint again, what waits first."""
    _change(endpoint_id, {"enabled": True}, url=url, as_json=as_json)


def disable(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Hold everything back; what waits is kept until the endpoint is enabled again."""
    _change(endpoint_id, {"enabled": False}, url=url, as_json=as_json)


def rotate(
    endpoint_id: EndpointId,
    *,
    overlap_hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="H",
            help="How long the old secret signs along. Default: the server's "
            "REELHOOK_SECRET_OVERLAP_HOURS.",
            show_default=False,
        ),
    ] = None,
    secret: ReadSecret = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sign with a new secret, which is shown only now; the old one signs along for a while."""
    body = {"overlapHours": overlap_hours, "secret": read_secret() if secret else None}

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.post(endpoint_path(endpoint_id, "/rotate"), body)
            render.show(answer, show_secret, as_json=as_json)

    asyncio.run(work())


def send_test(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Send a signed test event now, and show how the receiver answers.

    The event has `test: true` and counts for nothing. The exit code is 0 only if it was taken.
    """

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.post(endpoint_path(endpoint_id, "/test"))
            render.show(answer, show_test, as_json=as_json)
            if not answer.value["delivered"]:
                raise NotTakenError(
                    "The receiver did not take the test event; it must answer 2xx within 15 seconds"
                )

    asyncio.run(work())


def remove(
    endpoint_id: EndpointId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = None,
) -> None:
    """Remove an endpoint with all that waits for it. What was sent stays on record."""

    async def work() -> None:
        async with api_client(url) as api:
            if not yes:
                await _confirm(api, endpoint_id)
            await api.delete(endpoint_path(endpoint_id))
            render.say(f"Removed {endpoint_id}.")

    asyncio.run(work())


async def _confirm(api: Api, endpoint_id: str) -> None:
    known = (await api.get(endpoint_path(endpoint_id))).value
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is here to confirm it; add --yes")
    render.say(f"Webhooks that still wait for {printable(known['url'])} are dropped.")
    if not typer.confirm(f"Remove {endpoint_id}?"):
        raise typer.Exit(1)


def _change(endpoint_id: str, change: dict[str, Any], *, url: str | None, as_json: bool) -> None:
    async def work() -> None:
        async with api_client(url, as_operator="url" in change) as api:
            answer = await api.patch(endpoint_path(endpoint_id), change)
            render.show(answer, show_endpoint, as_json=as_json)

    asyncio.run(work())
