"""`reelhook doctor`."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from reelhook.cli import render
from reelhook.cli.options import AsJson, DataDir, Url
from reelhook.cli.orphans import show_orphans
from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reelhook.bootstrap import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}
_VERDICT_WIDTH = 7


def doctor(
    send: Annotated[
        bool, typer.Option("--send", help="Send a signed test event to WEBHOOK_URL.")
    ] = False,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Only list the providers' videos that no job here owns."),
    ] = False,
    data_dir: DataDir = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, database, keys, receivers and clocks, and say how to fix them.

    The checks change nothing and cost nothing. They don't disturb a running server. The exit code
    is 0 only if nothing failed; warnings don't count.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    if orphans:
        if send:
            raise typer.BadParameter("give either --send or --orphans")
        show_orphans(data_dir=data_dir, as_json=as_json)
        return
    with render.waiting("Checking...", quiet=as_json):
        findings = asyncio.run(bootstrap.examine(send=send, data_dir=data_dir, url=url))
    healthy = all(finding.verdict != "failed" for finding in findings)
    if as_json:
        document = {"healthy": healthy, "findings": [asdict(finding) for finding in findings]}
        render.say(json.dumps(document))
    else:
        _show(findings)
    if not healthy:
        raise typer.Exit(1)


def _show(findings: "Sequence[Finding]") -> None:
    for finding in findings:
        subject, message = printable(finding.subject), printable(finding.message)
        if not render.on_terminal():
            render.say(f"{finding.verdict}: {subject}: {message}")
            continue
        line = Text(f"{finding.verdict.value:<{_VERDICT_WIDTH}}  ", _STYLES[finding.verdict])
        line.append(f"{subject}: ", "default bold").append(message, "default")
        render.console().print(line, soft_wrap=True)
