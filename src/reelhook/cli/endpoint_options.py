"""What may be chosen of an endpoint on the command line."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

_ALL = "all"
Description = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What it is for, in your words.", show_default=False),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="NAME",
        help="What it is told of: queued, processing, progress, completed, failed or all; may be "
        "given again.",
        show_default=False,
    ),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="LINE",
        help='A header that goes along, as "Name: value"; may be given again. @FILE reads such '
        "lines, so that no other user of this machine sees them.",
        show_default=False,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Requests under way at once; 0 for the server's setting.",
        show_default=False,
    ),
]
Broadcast = Annotated[
    bool | None,
    typer.Option("--broadcast/--no-broadcast", help="Gets every job's events.", show_default=False),
]
ReadSecret = Annotated[
    bool,
    typer.Option(
        "--secret",
        help="Ask for the secret, or read it from stdin, in place of having one made.",
    ),
]


def chosen(
    description: str | None,
    event: list[str] | None,
    header: list[str] | None,
    concurrency: int | None,
    broadcast: bool | None,
) -> dict[str, Any]:
    """Return what was named; None where the usual is wanted."""
    named: dict[str, Any] = {}
    if description is not None:
        named["description"] = description or None
    if event:
        named["events"] = None if _ALL in event else event
    if header:
        named["headers"] = _headers(header)
    if concurrency is not None:
        named["concurrency"] = concurrency or None
    if broadcast is not None:
        named["broadcast"] = broadcast
    return named


def _headers(given: list[str]) -> dict[str, str]:
    headers = {}
    for line in given:
        for one in _lines(line):
            name, colon, value = one.partition(":")
            if not colon:
                raise typer.BadParameter(f'a header is written "Name: value", not {one!r}')
            headers[name.strip()] = value.strip()
    return headers


def _lines(line: str) -> list[str]:
    if not line.startswith("@"):
        return [line]
    try:
        return [one for one in Path(line[1:]).read_text().splitlines() if one.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the file {line[1:]} can't be read: {error}") from None


def read_secret() -> str:
    """Read a secret without showing it: other users of a machine can read flags."""
    if sys.stdin.isatty():
        return str(typer.prompt("Secret", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")
