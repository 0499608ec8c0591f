"""Options that describe an endpoint."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

_ALL = "all"
Description = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="A note on the purpose of the endpoint.", show_default=False),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="NAME",
        help="An event that is sent to it: queued, processing, progress, completed, failed, "
        "budget.warning, budget.reached, job.recovered, archive.failed, or all (of a job until it "
        "ends). May be repeated.",
        show_default=False,
    ),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="LINE",
        help='An extra request header, as "Name: value". May be repeated. @FILE reads such lines '
        "from a file, which hides them from other users of this machine.",
        show_default=False,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="The most requests in flight at once; 0 for the server's setting.",
        show_default=False,
    ),
]
Broadcast = Annotated[
    bool | None,
    typer.Option(
        "--broadcast/--no-broadcast", help="Send it the events of every job.", show_default=False
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The format of its webhooks: reelhook, reelhook+poster (with posterUrl), openai "
        "(video.completed and video.failed, for the webhooks.unwrap of OpenAI's SDKs) or vercel. "
        "Waiting webhooks keep theirs.",
        show_default=False,
    ),
]
ReadSecret = Annotated[
    bool,
    typer.Option(
        "--secret",
        help="Prompt for the secret, or read it from stdin. Default: the server generates one.",
    ),
]


def chosen(
    description: str | None,
    event: list[str] | None,
    header: list[str] | None,
    concurrency: int | None,
    broadcast: bool | None,
    body_format: str | None,
) -> dict[str, Any]:
    """Return the fields that were given; None means the default."""
    fields: dict[str, Any] = {}
    if description is not None:
        fields["description"] = description or None
    if event:
        fields["events"] = None if _ALL in event else event
    if header:
        fields["headers"] = _headers(header)
    if concurrency is not None:
        fields["concurrency"] = concurrency or None
    if broadcast is not None:
        fields["broadcast"] = broadcast
    if body_format is not None:
        fields["format"] = body_format
    return fields


def _headers(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        for header in _lines(line):
            name, colon, value = header.partition(":")
            if not colon:
                raise typer.BadParameter(f'a header is written "Name: value", not {header!r}')
            headers[name.strip()] = value.strip()
    return headers


def _lines(line: str) -> list[str]:
    if not line.startswith("@"):
        return [line]
    try:
        return [text for text in Path(line[1:]).read_text().splitlines() if text.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the file {line[1:]} can't be read: {error}") from None


def read_secret() -> str:
    """Read a secret without showing it. It is not a flag, since other users can read flags."""
    if sys.stdin.isatty():
        return str(typer.prompt("Secret", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")
