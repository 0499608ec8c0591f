"""Backs up a SQLite database that may be in use."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.error_text import no_database
from reelhook.storage.operations import history
from reelhook.storage.sqlite.driver import connect

TAKEN_AS_COPY = "backup"
"""The value that marks a copy as one, wherever it is moved."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The new file, its size in bytes, and its number of jobs."""

    path: Path
    size: int
    jobs: int


def back_up(source: Path, target: Path) -> BackedUp:
    """Copy a snapshot of a database, while a server may be writing to it, and check the copy.

    Raises `SettingsError` if there is no database, the file exists, or the copy fails. A failed
    copy leaves no file.
    """
    if not source.exists():
        raise no_database(source)
    if os.path.lexists(target):
        raise _exists(target)
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise SettingsError(
            f"Nothing can be written to {target.parent} ({error.strerror}); choose another file"
        ) from None
    os.close(descriptor)
    part = Path(name)
    try:
        _copy(source, part)
        jobs = _checked(part)
        _keep(part, target)
    except apsw.Error as error:
        raise SettingsError(f"The copy of {source} can't be made: {error}") from None
    except OSError as error:
        raise SettingsError(f"The copy {target} can't be saved: {error.strerror}") from None
    finally:
        for leftover in part.parent.glob(f"{part.name}*"):
            leftover.unlink()
    return BackedUp(target, target.stat().st_size, jobs)


def _copy(source: Path, part: Path) -> None:
    """Copy everything in one step, from a read snapshot that does not block writers."""
    with (
        contextlib.closing(connect(source, read_only=True)) as here,
        contextlib.closing(apsw.Connection(str(part))) as there,
    ):
        with there.backup("main", here, "main") as copying:
            copying.step(-1)
        # A single file, without side files.
        there.execute("PRAGMA journal_mode = DELETE")
        there.execute(
            "INSERT INTO keys (name, value) VALUES (?1, ?2)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (history.KEY, TAKEN_AS_COPY),
        )


def _checked(part: Path) -> int:
    """Return the number of jobs of the copy. Raises `SettingsError` if it is damaged."""
    with contextlib.closing(apsw.Connection(str(part))) as copy:
        found = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            raise SettingsError(
                f"The database is damaged, so its copy was not kept: {'; '.join(found)}; "
                "restore an earlier backup"
            )
        return len(copy.execute("SELECT id FROM jobs").fetchall())


def _keep(part: Path, target: Path) -> None:
    """Sync the copy, and give it its name unless another file has taken that name."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(part, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _exists(target) from None
        part.rename(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _exists(target: Path) -> SettingsError:
    return SettingsError(f"{target} exists and is not overwritten; name another file, or remove it")
