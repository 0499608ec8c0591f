"""Causes as the command line shows them. Their words come from the server."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from reelhook.cli.render import on_terminal, say, second, show_fields

_STYLES = {"money": "red", "stopped": "red", "webhooks": "yellow", "slow": "cyan"}


def show_cause(cause: Mapping[str, Any]) -> None:
    """Print the cause that holds up one job."""
    show_fields([("Held up by", cause["cause"]), *_fields(cause)])


def show_attention(attention: dict[str, Any]) -> None:
    """Print all causes, each with what it holds up."""
    causes = attention["causes"]
    if not causes and on_terminal():
        say("All is well: nothing is held up.")
    for number, cause in enumerate(causes):
        if number:
            say("")
        name = Text(cause["cause"], f"bold {_STYLES.get(cause['harm'], '')}")
        show_fields(
            [
                ("Cause", name),
                *_fields(cause),
                ("Holds up", _held_up(cause)),
                ("For example", ", ".join(cause["jobs"])),
            ]
        )


def _fields(cause: Mapping[str, Any]) -> list[tuple[str, Any]]:
    after, remedy = cause["next"], cause["remedy"]
    at = "" if after["at"] is None else f" ({second(after['at'])})"
    return [
        ("Why", cause["message"]),
        ("Since", None if cause["since"] is None else second(cause["since"])),
        ("Next", f"{after['message']}{at}"),
        ("Remedy", remedy["message"]),
        ("Command", remedy["command"]),
    ]


def _held_up(cause: Mapping[str, Any]) -> str | None:
    count, things = cause["count"], cause["things"]
    if not count:
        return None
    more = "+" if cause["more"] else ""
    return f"{count:,}{more} {things if count > 1 or more else things.removesuffix('s')}"
