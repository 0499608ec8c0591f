"""The command that moves an installation to another database."""

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from reelhook.cli import render
from reelhook.cli.options import AsJson, DataDir
from reelhook.config import Settings

if TYPE_CHECKING:
    from reelhook.storage.transfer.copying import Copied

PROGRESS_SECONDS = 1.0


def copy(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="URL",
            help="An empty database: postgresql://… or sqlite:///path.",
            show_default=False,
        ),
    ] = None,
    reopen: Annotated[
        bool,
        typer.Option("--reopen", help="Open the old database again, if its copy was discarded."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move everything to another database: jobs, waiting webhooks, keys.

    Stop the server first. Each table is verified by row count and checksum. If interrupted, run the
    same command again: it continues where it stopped. At the end the old database is closed, so
    that no two servers ever work on the same job.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    settings = Settings.load(data_dir=data_dir)
    if (to is None) != reopen:
        raise typer.BadParameter("give either --to URL or --reopen")
    if to is None:
        asyncio.run(bootstrap.reopen(settings))
        render.say(json.dumps({"reopened": True}) if as_json else "The database is open again.")
        return
    began_at = time.monotonic()
    copied = asyncio.run(bootstrap.copy(settings, to, _CopyProgress()))
    _show(copied, time.monotonic() - began_at, as_json=as_json)


class _CopyProgress:
    """Reports progress on stderr, once a second at most."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, action: str, table: str, done: int, total: int) -> None:
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + PROGRESS_SECONDS
            sys.stderr.write(f"{action} {table}: {done:,} of {total:,} rows\n")
            sys.stderr.flush()


def _show(copied: "Copied", seconds: float, *, as_json: bool) -> None:
    rows = sum(digest.rows for digest in copied.tables.values())
    if as_json:
        tables = {
            table: {"rows": digest.rows, "checksum": digest.checksum}
            for table, digest in copied.tables.items()
        }
        document = {"source": copied.source, "target": copied.target, "resumed": copied.resumed}
        render.say(json.dumps({**document, "rows": rows, "seconds": seconds, "tables": tables}))
        return
    render.show_table(
        ("TABLE", "ROWS", "CHECKSUM"),
        ((table, digest.rows, digest.checksum) for table, digest in copied.tables.items()),
    )
    render.say(f"Copied and checked {rows:,} rows in {seconds:.1f} s.")
    render.say(f"{copied.source} is closed; set DATABASE_URL to {copied.target} from now on.")
