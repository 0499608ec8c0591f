"""Commands about the server as a whole."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.cause_view import show_attention
from reelhook.cli.options import AsJson, InProject, Url


class WatcherAction(StrEnum):
    """The argument of `watcher`."""

    PAUSE = "pause"
    RESUME = "resume"


def stats(project: InProject = None, url: Url = None, as_json: AsJson = False) -> None:
    """Show how many jobs have each status, and the state of the watcher and the accounts.

    Of a project, only the jobs, webhooks and endpoints are counted.
    """
    show_response(
        url,
        lambda api: api.get("/api/stats"),
        _show_stats,
        as_json=as_json,
        project=project,
    )


def attention(project: InProject = None, url: Url = None, as_json: AsJson = False) -> None:
    """Show what is held up, why, since when, what happens next, and what ends it.

    The most harmful cause comes first. Times are in UTC. docs/runbook.md has a section for each
    cause.
    """
    show_response(
        url,
        lambda api: api.get("/api/attention"),
        show_attention,
        as_json=as_json,
        project=project,
    )


def watcher(
    switch: Annotated[
        WatcherAction,
        typer.Argument(metavar="ACTION", help="Pause or resume.", show_default=False),
    ],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Pause or resume the watcher, which asks providers for the status of jobs.

    Requests are still accepted and webhooks are still sent. A pause holds for every process on the
    database, and across restarts, until it is resumed.
    """
    show_response(
        url, lambda api: api.post(f"/api/watcher/{switch.value}"), _show_watcher, as_json=as_json
    )


def _show_watcher(state: dict[str, Any]) -> None:
    render.say("The watcher is paused." if state["paused"] else "The watcher is watching.")


def _show_stats(stats: dict[str, Any]) -> None:
    render.show_fields(
        [
            *((f"Jobs {name}", count) for name, count in stats["jobs"].items()),
            ("Webhooks waiting", stats["deliveries"]["waiting"]),
            ("Endpoints failing", _alarming(stats["endpoints"]["failing"], "yellow")),
            ("Endpoints disabled", _alarming(stats["endpoints"]["disabled"], "red")),
            *(_watcher_fields(stats["watcher"]) if "watcher" in stats else ()),
        ]
    )
    if "accounts" in stats:
        _show_accounts(stats["accounts"])


def _watcher_fields(watcher: Mapping[str, Any]) -> list[tuple[str, Any]]:
    paused = watcher["pausedSince"]
    state = (
        Text(f"paused since {render.minute(paused)}", "yellow")
        if paused
        else Text("watching", "green")
    )
    return [
        ("Watcher", state),
        ("Interval", f"{watcher['pollSeconds']:g} s"),
        ("Last round", watcher["lastRoundAt"] or "none yet"),
    ]


def _show_accounts(accounts: Sequence[Mapping[str, Any]]) -> None:
    render.show_table(
        ("ACCOUNT", "PROVIDER", "IN FLIGHT", "LIMIT", "WAITING", "HEALTH"),
        (
            (
                account["id"],
                account["provider"],
                account["inFlight"],
                account["jobsMax"] or "",
                account["waiting"],
                _health(account),
            )
            for account in accounts
        ),
    )


def _health(account: Mapping[str, Any]) -> Text:
    if not account["healthy"]:
        return Text(account["error"] or "bad", "red")
    for kind in ("reads", "creates"):
        if until := account[f"{kind}WaitUntil"]:
            return Text(f"{kind} wait until {render.minute(until)}", "yellow")
    if refused := account.get("refused"):
        tries = f"create {refused['tries']} of {refused['jobId']}"
        return Text(f"{tries}: {refused['lastResponse']}", "yellow")
    if unread := account.get("unread"):
        return Text(f"not read: {unread['lastResponse']}", "yellow")
    return Text("good", "green")


def _alarming(count: int, style: str) -> Text:
    return Text(str(count), style if count else "")
