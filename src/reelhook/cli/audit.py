"""The command `audit`: who changed what."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.options import AsJson, InProject, NumberCursor, Url
from reelhook.cli.times import timestamp


def audit(
    *,
    action: Annotated[
        str | None,
        typer.Option(help="Only these changes, e.g. endpoint.changed.", show_default=False),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only changes of this job, endpoint or delivery."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only changes since then: 2h, 3d or 2026-11-23T10:00Z.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most changes to list.")] = 50,
    cursor: NumberCursor = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the changes that people and programs made, newest first: who, what, when, from where.

    Secrets are never shown, only that they were changed.
    """
    filters = {
        "action": action,
        "target": target,
        "since": None if since is None else timestamp(since, "--since"),
    }
    show_response(
        url,
        lambda api: api.get("/api/audit", **filters, limit=limit, cursor=cursor),
        _show_entries,
        as_json=as_json,
        project=project,
    )


def _show_entries(page: dict[str, Any]) -> None:
    entries = page["entries"]
    if not entries and render.on_terminal():
        render.say("No changes.")
        return
    render.show_table(
        ("AT", "WHO", "FROM", "ACTION", "TARGET", "CHANGE"),
        (
            (
                render.second(entry["at"]),
                _who(entry),
                entry["address"] or "",
                entry["action"],
                entry["target"],
                _change(entry["before"] or {}, entry["after"] or {}),
            )
            for entry in entries
        ),
        wrap=True,
    )
    if page["nextCursor"] is not None:
        render.hint(f"More: --cursor {page['nextCursor']}")


def _who(entry: Mapping[str, Any]) -> str:
    if entry["keyId"] is None:
        return str(entry["actor"])
    return f"{entry['keyName'] or 'key'} ({entry['keyId']})"


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the fields that differ: those of a new target, or each with both values."""
    if not before:
        return ", ".join(f"{name}={_value(value)}" for name, value in after.items())
    names = {**before, **after}
    return ", ".join(
        f"{name}: {_value(before.get(name))} -> {_value(after.get(name))}" for name in names
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return (" ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
