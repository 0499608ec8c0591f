"""The commands of `reelhook archive`."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.archive_view import (
    bytes_progress,
    file_document,
    files_text,
    gib,
    show_exported,
    show_files,
    show_findings,
)
from reelhook.cli.client import api_at
from reelhook.cli.options import AsJson, DataDir, Url
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
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove the files that are too old, or the oldest above the largest size.

    A server does this once an hour. If one is running on SQLite, it removes them now, by its own
    settings.
    """
    settings = Settings.load(url=url, data_dir=data_dir)
    removed: list[dict[str, Any]] = []

    def note(file: dict[str, Any]) -> None:
        removed.append(file)
        if not as_json:
            render.say(f"{file['jobId']}\t{gib(file['bytes'])}\t{file['reason']}")

    asyncio.run(_prune(settings, note, dry_run=dry_run))
    size = sum(file["bytes"] for file in removed)
    if as_json:
        document = {"dryRun": dry_run, "files": len(removed), "bytes": size, "removed": removed}
        render.say(json.dumps(document))
        return
    if not removed:
        render.say("No file is above the limits.")
        return
    verb = "would be removed" if dry_run else "removed"
    render.say(f"{files_text(len(removed))}, {gib(size)}, {verb}.")


async def _prune(
    settings: Settings, note: Callable[[dict[str, Any]], None], *, dry_run: bool
) -> None:
    """Remove files in the database, or have the server do so that owns it."""
    from reelhook import bootstrap  # noqa: PLC0415 - as above
    from reelhook.doors.native.archive import removed_response  # noqa: PLC0415 - as above

    def noted(file: "ExcessFile") -> None:
        note(removed_response(file).model_dump(by_alias=True))

    try:
        await bootstrap.archived.prune(settings, _now(), noted, dry_run=dry_run)
    except bootstrap.archived.DatabaseOwnedError:
        find = None if settings.api_key else partial(bootstrap.operator_key, settings)
        async with api_at(settings.url, settings.api_key, find_operator_key=find) as api:
            more = True
            while more:
                batch = (await api.post("/api/archive/prune")).value
                more = batch["more"]
                for file in batch["removed"]:
                    note(file)


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
