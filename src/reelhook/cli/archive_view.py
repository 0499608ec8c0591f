"""The archive as the command line shows it."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from reelhook.cli import render
from reelhook.domain.event import maybe_iso
from reelhook.domain.keeping import GIB
from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from reelhook.bootstrap.archived import Exported, ObjectFinding, Verified
    from reelhook.domain.archive import ArchivedFile

_MIB = 1024**2


@contextmanager
def bytes_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, if that is a terminal; yield a function that moves it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=max(done, total))

        yield advance


def gib(size: int) -> str:
    """Return a size in MiB or GiB."""
    return f"{size / GIB:,.1f} GiB" if size >= GIB else f"{size / _MIB:,.1f} MiB"


def files_text(count: int) -> str:
    """Return a number of files in words."""
    return "1 file" if count == 1 else f"{count:,} files"


def file_document(file: "ArchivedFile") -> dict[str, Any]:
    """Return the JSON of a file."""
    return {
        "jobId": file.job_id,
        "project": file.project,
        "account": file.account,
        "state": file.state.value,
        "object": file.key,
        "bytes": file.size,
        "sha256": file.sha256,
        "contentType": file.content_type,
        "storedAt": maybe_iso(file.stored_at),
        "expiresAt": maybe_iso(file.expires_at),
        "error": file.error,
        "duration": file.duration,
        "width": file.width,
        "height": file.height,
        "frameRate": file.frame_rate,
        "codec": file.codec,
        "hasAudio": file.has_audio,
        "poster": file.poster_key,
    }


def show_files(files: "Sequence[ArchivedFile]") -> None:
    """Print the list of files, and their sum."""
    render.show_table(
        ("JOB", "STATE", "SIZE", "STORED", "OBJECT"),
        (
            (
                file.job_id,
                file.state.value,
                "" if file.size is None else gib(file.size),
                render.minute(maybe_iso(file.stored_at) or ""),
                file.key or file.error or "",
            )
            for file in files
        ),
    )
    render.hint(f"{files_text(len(files))}, {gib(sum(file.size or 0 for file in files))}.")


def show_findings(verified: "Verified", *, as_json: bool) -> None:
    """Print what was compared and found."""
    if as_json:
        findings = [_finding(one) for one in verified.findings]
        document = {"files": verified.files, "bytes": verified.size, "findings": findings}
        render.say(json.dumps(document))
        return
    for one in verified.findings:
        job = "" if one.job_id is None else f" of job {one.job_id}"
        hashes = "".join(
            f", {name} SHA-256 {value}"
            for name, value in (("expected", one.expected), ("found", one.found))
            if value is not None
        )
        render.say(printable(f"{one.fault.value}: {one.key}{job}: {one.detail}{hashes}"))
    for remedy in dict.fromkeys(f"{one.fault.value}: {one.remedy}" for one in verified.findings):
        render.say(f"-> {remedy}")
    found = len(verified.findings)
    findings_text = "1 finding" if found == 1 else f"{found:,} findings"
    render.say(f"{files_text(verified.files)}, {gib(verified.size)} compared; {findings_text}.")


def _finding(one: "ObjectFinding") -> dict[str, Any]:
    return {
        "fault": one.fault.value,
        "jobId": one.job_id,
        "object": one.key,
        "detail": one.detail,
        "expectedSha256": one.expected,
        "foundSha256": one.found,
        "remedy": one.remedy,
    }


def show_exported(exported: "Exported", *, as_json: bool) -> None:
    """Print the result of an export."""
    failed = exported.failed
    if as_json:
        document = {
            "folder": str(exported.folder),
            "written": exported.written,
            "skipped": exported.skipped,
            "bytes": exported.size,
            "failed": failed,
        }
        render.say(json.dumps(document))
        return
    for job_id, reason in failed.items():
        render.say(printable(f"{job_id}: {reason}"))
    there = f", {exported.skipped:,} were there" if exported.skipped else ""
    lacking = f", {len(failed):,} failed" if failed else ""
    render.say(
        f"{exported.folder}: {files_text(exported.written)} written{there}{lacking}; "
        f"{gib(exported.size)} with a manifest."
    )
