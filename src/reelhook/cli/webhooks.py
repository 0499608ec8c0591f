"""The commands of `reelhook webhooks`."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from reelhook.cli import render
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError

if TYPE_CHECKING:
    from reelhook.guard.addresses import UrlVerdict


def check(
    urls: Annotated[
        list[str],
        typer.Argument(
            metavar="URL",
            help="The URLs to check; - reads them from stdin, one per line.",
            show_default=False,
        ),
    ],
    *,
    answers: Annotated[
        str | None,
        typer.Option(
            metavar="IP,IP",
            help="Addresses that the name is assumed to resolve to; an empty text means none.",
            show_default=False,
        ),
    ] = None,
    allow_networks: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORKS",
            help="Private networks that are allowed. Default: REELHOOK_ALLOW_NETWORKS.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array of url, allowed and reason.")
    ] = False,
) -> None:
    """Check if webhooks may be sent to these URLs, by the rules of the API and the sender.

    Nothing is looked up or sent. Without --answers, only the name itself is checked.

    The exit code is 0 if all URLs are allowed, and 1 if any is refused.
    """
    verdicts = _checked(list(_read(urls)), answers, allow_networks)
    if as_json:
        render.say(json.dumps([_as_json(verdict) for verdict in verdicts]))
    else:
        _show(verdicts)
    if not all(verdict.allowed for verdict in verdicts):
        raise typer.Exit(1)


def _read(urls: Sequence[str]) -> Iterator[str]:
    for url in urls:
        if url != "-":
            yield url
            continue
        # Not a text stream: a URL that is not UTF-8 is checked too, and refused.
        text = sys.stdin.buffer.read().decode(errors="surrogateescape")
        for line in text.split("\n"):
            if line.strip():
                yield line.removesuffix("\r")


def _checked(
    urls: Sequence[str], answers: str | None, allow_networks: str | None
) -> list["UrlVerdict"]:
    """Return the verdicts. Raises `typer.BadParameter`, since exit code 1 means a refusal."""
    from reelhook.guard.addresses import (  # noqa: PLC0415 - not needed for --help
        AddressPolicy,
        judge,
    )

    if not urls:
        raise typer.BadParameter("stdin has no URL")
    try:
        policy = AddressPolicy(Settings.load(allow_networks=allow_networks).allow_networks)
    except SettingsError as error:
        raise typer.BadParameter(error.message) from None
    addresses = None if answers is None else _split(answers)
    try:
        return [judge(url, addresses, policy) for url in urls]
    except ValueError:
        raise typer.BadParameter(
            f"--answers must be IP addresses, separated by commas, not {answers!r}"
        ) from None


def _split(answers: str) -> list[str]:
    return [answer.strip() for answer in answers.split(",")] if answers.strip() else []


def _as_json(verdict: "UrlVerdict") -> dict[str, object]:
    return {"url": verdict.url, "allowed": verdict.allowed, "reason": verdict.reason}


def _show(verdicts: Sequence["UrlVerdict"]) -> None:
    render.show_table(
        ("VERDICT", "URL", "REASON"),
        ((_mark(verdict.allowed), verdict.url, verdict.reason or "") for verdict in verdicts),
        wrap=True,
    )


def _mark(allowed: bool) -> Text:
    word, sign, style = ("allowed", "✓", "green") if allowed else ("refused", "✗", "bold red")
    return Text(f"{sign} {word}" if render.on_terminal() else word, style)
