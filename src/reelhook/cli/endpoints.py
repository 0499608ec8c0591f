"""The commands of `reelhook endpoints`."""

import sys
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response, with_api
from reelhook.cli.client import Api, endpoint_path
from reelhook.cli.endpoint_options import (
    Broadcast,
    Concurrency,
    Description,
    Events,
    Format,
    Headers,
    ReadSecret,
    chosen,
    read_secret,
)
from reelhook.cli.endpoint_view import show_endpoint, show_endpoints, show_secret, show_test
from reelhook.cli.options import AsJson, EndpointId, InProject, OverlapHours, Url
from reelhook.domain.errors import ReelhookError
from reelhook.telemetry.lines import printable


class NotTakenError(ReelhookError):
    """The receiver did not accept a test event."""

    code = "not_taken"


def list_(
    failing: Annotated[
        bool,
        typer.Option(
            "--failing", help="Only failing or disabled ones, including the URLs of single jobs."
        ),
    ] = False,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the registered endpoints and the default one, WEBHOOK_URL."""
    show_response(
        url,
        lambda api: api.get("/api/endpoints", failing="true" if failing else None),
        show_endpoints,
        as_json=as_json,
        project=project,
    )


def add(
    webhook_url: Annotated[
        str,
        typer.Argument(metavar="URL", help="The URL that receives webhooks.", show_default=False),
    ],
    *,
    description: Description = None,
    event: Events = None,
    header: Headers = None,
    concurrency: Concurrency = None,
    broadcast: Broadcast = None,
    body_format: Format = None,
    secret: ReadSecret = False,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Register an endpoint. The secret that signs its webhooks is shown only now.

    On the server's own machine the URL is trusted: it may be on this machine or a private network.
    """
    fields = chosen(description, event, header, concurrency, broadcast, body_format)
    body = {"url": webhook_url, **fields}
    body |= {"secret": read_secret()} if secret else {}
    show_response(
        url,
        lambda api: api.post("/api/endpoints", body),
        show_secret,
        as_json=as_json,
        project=project,
        as_operator=True,
    )


def show(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Show an endpoint and its health."""
    show_response(
        url, lambda api: api.get(endpoint_path(endpoint_id)), show_endpoint, as_json=as_json
    )


def update(
    endpoint_id: EndpointId,
    *,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The URL that receives its webhooks from now on, waiting ones included.",
            show_default=False,
        ),
    ] = None,
    description: Description = None,
    event: Events = None,
    header: Headers = None,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Remove its extra headers.")
    ] = False,
    concurrency: Concurrency = None,
    broadcast: Broadcast = None,
    body_format: Format = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint. Options that are not given leave their value unchanged.

    Events and headers replace the previous ones. An empty description removes it.
    """
    if header and no_headers:
        raise typer.BadParameter("give either --header or --no-headers")
    change = chosen(description, event, header, concurrency, broadcast, body_format)
    change |= {"headers": None} if no_headers else {}
    change |= {"url": webhook_url} if webhook_url is not None else {}
    if not change:
        raise typer.BadParameter("give at least one option to change")
    _change(endpoint_id, change, url=url, as_json=as_json)


def enable(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Send to an endpoint again, beginning with the waiting events."""
    _change(endpoint_id, {"enabled": True}, url=url, as_json=as_json)


def disable(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Stop sending to an endpoint. Events wait until it is enabled again."""
    _change(endpoint_id, {"enabled": False}, url=url, as_json=as_json)


def rotate(
    endpoint_id: EndpointId,
    *,
    overlap_hours: OverlapHours = None,
    secret: ReadSecret = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sign with a new secret, which is shown only now. The old one signs too for a while."""
    body = {"overlapHours": overlap_hours, "secret": read_secret() if secret else None}
    show_response(
        url,
        lambda api: api.post(endpoint_path(endpoint_id, "/rotate"), body),
        show_secret,
        as_json=as_json,
    )


def send_test(endpoint_id: EndpointId, url: Url = None, as_json: AsJson = False) -> None:
    """Send a signed test event now, and show the receiver's response.

    The event has `test: true` and does not affect the endpoint's health. The exit code is 0 only
    if the receiver accepted it.
    """
    tested = show_response(
        url,
        lambda api: api.post(endpoint_path(endpoint_id, "/test")),
        show_test,
        as_json=as_json,
    )
    if not tested.value["delivered"]:
        raise NotTakenError(
            "The receiver did not accept the test event; it must respond with 2xx within 15 seconds"
        )


def remove(
    endpoint_id: EndpointId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    url: Url = None,
) -> None:
    """Remove an endpoint and its waiting events. Past deliveries stay on record."""

    async def work(api: Api) -> None:
        if not yes:
            await _confirm(api, endpoint_id)
        await api.delete(endpoint_path(endpoint_id))
        render.say(f"Removed {endpoint_id}.")

    with_api(url, work)


async def _confirm(api: Api, endpoint_id: str) -> None:
    endpoint = (await api.get(endpoint_path(endpoint_id))).value
    if not sys.stdin.isatty():
        raise typer.BadParameter("no terminal to confirm it on; add --yes")
    render.say(f"Webhooks still waiting for {printable(endpoint['url'])} will be dropped.")
    if not typer.confirm(f"Remove {endpoint_id}?"):
        raise typer.Exit(1)


def _change(endpoint_id: str, change: dict[str, Any], *, url: str | None, as_json: bool) -> None:
    show_response(
        url,
        lambda api: api.patch(endpoint_path(endpoint_id), change),
        show_endpoint,
        as_json=as_json,
        as_operator="url" in change,
    )
