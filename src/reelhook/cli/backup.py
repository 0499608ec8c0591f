"""The commands about backups of the database: `backup` and `restored`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from reelhook.cli import render
from reelhook.cli.options import AsJson, DataDir
from reelhook.config import Settings

_MIB = 1024 * 1024


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file for the copy.", show_default=False)
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy the SQLite database into a new file, while the server runs.

    The copy is a consistent snapshot, and is checked. It contains the keys, so only its owner may
    read it. On PostgreSQL this command names the one to use instead, and exits with 1.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    settings = Settings.load(data_dir=data_dir)
    copy = asyncio.run(bootstrap.back_up(settings, file))
    if as_json:
        document = {"file": str(copy.path), "bytes": copy.size, "jobs": copy.jobs}
        render.say(json.dumps(document))
        return
    jobs = "1 job" if copy.jobs == 1 else f"{copy.jobs:,} jobs"
    render.say(f"{copy.path}: {jobs}, {copy.size / _MIB:.1f} MiB, checked.")


def restored(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Declare that the database was set back to an earlier state.

    Needed only after a disk or a machine was set back to a snapshot; a restored backup is
    recognized automatically. Run it before the server starts. Running jobs then number their next
    events beyond any that may have been sent. Jobs waiting to be created are first looked up at
    their provider.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    asyncio.run(bootstrap.restored(settings))
    if as_json:
        render.say(json.dumps({"restored": True}))
        return
    render.say("The database now counts as set back to an earlier state; start the server.")
    render.say("`reelhook doctor --orphans` lists videos that no job here owns.")
