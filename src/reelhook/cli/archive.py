"""The commands of `reelhook archive`."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.archive_view import (
    bytes_progress,
    file_document,
    files_text,
    gib,
    removal_document,
    show_exported,
    show_files,
    show_findings,
)
from reelhook.cli.options import AsJson, DataDir
from reelhook.config import Settings
from reelhook.domain.archive import FileState

if TYPE_CHECKING:
    from reelhook.bootstrap.archived import Verified
    from reelhook.domain.archive import ArchivedFile
    from reelhook.domain.keeping import ExcessFile

_ANY = "all"
_STATES = (*(state.value for state in FileState), _ANY)
OfProject = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="PROJECT",
        help="Only the files of this project, by id or name.",
        show_default=False,
    ),
]


def ls(
    project: OfProject = None,
    state: Annotated[
        str, typer.Option(metavar="STATE", help="stored, waiting, lost, removed or all.")
    ] = FileState.STORED.value,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the files of the archive, with the job of each. A server may be running."""
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    if state not in _STATES:
        raise typer.BadParameter(f"the state is one of {', '.join(_STATES)}", param_hint="--state")
    settings = Settings.load(data_dir=data_dir)
    wanted = None if state == _ANY else FileState(state)

    async def read() -> "list[ArchivedFile]":
        return [file async for file in bootstrap.archived.listed(settings, project, wanted)]

    files = asyncio.run(read())
    if as_json:
        render.say(json.dumps({"files": [file_document(file) for file in files]}))
    else:
        show_files(files)


def verify(
    hashes: Annotated[
        bool,
        typer.Option(
            "--hashes/--no-hashes",
            help="Read every file and compare its SHA-256, or compare sizes only, which is fast.",
        ),
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare every object of the archive with the database. Exit with 1 if something is wrong.

    Finds missing, damaged and orphaned objects, and changes nothing. A server may be running.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    with bytes_progress("Verifying") as advance:
        verified: Verified = asyncio.run(
            bootstrap.archived.verify(settings, _now(), advance, with_hashes=hashes)
        )
    show_findings(verified, as_json=as_json)
    if verified.findings:
        raise typer.Exit(1)


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove the files that are too old, or the oldest above the largest size.

    A server does this once an hour. On SQLite the command needs the database for itself, except
    with --dry-run.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    removed: list[ExcessFile] = []

    def note(file: "ExcessFile") -> None:
        removed.append(file)
        if not as_json:
            render.say(f"{file.job_id}\t{gib(file.size)}\t{file.reason}")

    asyncio.run(bootstrap.archived.prune(settings, _now(), note, dry_run=dry_run))
    size = sum(file.size for file in removed)
    if as_json:
        document: dict[str, Any] = {"dryRun": dry_run, "files": len(removed), "bytes": size}
        render.say(json.dumps(document | {"removed": [removal_document(one) for one in removed]}))
        return
    verb = "would be removed" if dry_run else "removed"
    render.say(f"{files_text(len(removed))}, {gib(size)}, {verb}.")


def export(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="The folder to write to.", show_default=False),
    ],
    project: OfProject = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write every archived video under a readable name, and a manifest with its job.

    What is there and whole is skipped, so an interrupted export continues. A server may be running.
    Exits with 1 if a file could not be written.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    with bytes_progress("Exporting") as advance:
        exported = asyncio.run(
            bootstrap.archived.export(settings, folder, advance, project=project)
        )
    show_exported(exported, as_json=as_json)
    if exported.failed:
        raise typer.Exit(1)


def _now() -> int:
    return time.time_ns() // 1_000_000
