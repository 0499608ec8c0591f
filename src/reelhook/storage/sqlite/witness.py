"""The witness of a SQLite database: a file next to it that names the last commit.

A database counts as a copy if it lacks that commit, is not the file that its witness saw, or has
lost its witness. Actions may then have happened that it does not contain.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from reelhook.domain.errors import SettingsError
from reelhook.storage.operation import Database, Operation, Statement
from reelhook.storage.operations import history
from reelhook.storage.operations.history import Past

log = structlog.get_logger()
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LINE = 160
"""The length of each of its two lines: the database's identity, and its last commit's receipt."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The contents: the database's name and inode, the machine's boot id, and the last receipt."""

    name: str
    inode: str
    boot: str
    receipt: str


class Witness:
    """Notes every commit, without syncing: the note still survives the end of the process.

    After a power failure it may lag behind the database. That does not indicate a copy.
    """

    def __init__(self, database: Path) -> None:
        self._database = database.resolve()
        self.path = self._database.with_name(self._database.name + ".witness")
        self._descriptor: int | None = None
        self._receipt = ""

    def note(self, receipt: str) -> None:
        """Write the receipt of the transaction that has just been committed."""
        self._receipt = receipt
        if self._descriptor is not None:
            try:
                os.pwrite(self._descriptor, _line(receipt), _LINE)
            except OSError as error:  # continue, although a copy may go unnoticed
                log.warning("witness.unwritten", error=str(error))

    async def testify(self, database: Database) -> Past:
        """Return the database's past, and prepare it accordingly; see `history.resume`.

        Raises `SettingsError` if the file cannot be written, otherwise like `Database.write`.
        """
        seen, boot = self._seen(), _boot_id()
        past, name = await database.read(lambda: _past(seen, self._inode(), boot))
        if past is not Past.KNOWN:
            fresh = name if past is Past.INTERRUPTED else secrets.token_hex(8)
            await database.write(lambda: history.resume(past, fresh))
            seen = _Seen(fresh, self._inode(), boot, self._receipt)
        self._open(seen)
        return past

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _inode(self) -> str:
        return str(self._database.stat().st_ino)

    def _seen(self) -> _Seen | None:
        """Return the contents of the file. Unreadable contents match no database."""
        try:
            lines = self.path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure(error) from None
        words = lines[0].split() if lines else []
        match words, lines[1:]:
            case [name, inode, boot], [receipt, *_]:
                return _Seen(name, inode, boot, receipt.strip())
        return _Seen("", "", "", "")

    def _open(self, seen: _Seen | None) -> None:
        if seen is None:
            return
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            what = _line(f"{seen.name} {seen.inode} {seen.boot}")
            os.pwrite(self._descriptor, what + _line(self._receipt or seen.receipt), 0)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> SettingsError:
        return SettingsError(
            f"The file {self.path} next to the database can't be used ({error.strerror}); give "
            "this user the right to read and write it"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _past(seen: _Seen | None, inode: str, boot: str) -> Operation[tuple[Past, str]]:
    """Return the database's past and its name."""
    kept = yield from history.kept()
    if seen is None and kept is None:
        return Past.NEW, ""
    if seen is None or kept is None or seen.name != kept or seen.inode != inode:
        return Past.RESTORED, ""
    if not (yield from _has(seen.receipt)):
        return Past.RESTORED, ""
    return (Past.KNOWN if seen.boot == boot else Past.INTERRUPTED), kept


def _has(receipt: str) -> Operation[bool]:
    """Return True if the database has this receipt, or a later one of the same writer."""
    writer, _, number = receipt.rpartition("-")
    if not number.isdigit():
        return False
    rows = yield Statement("SELECT id FROM commits WHERE written AND id LIKE ?1", (f"{writer}-%",))
    return any(int(row[0].rpartition("-")[2]) >= int(number) for row in rows)


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip() or "-"
    return "-"


def _line(text: str) -> bytes:
    return text.ljust(_LINE - 1).encode() + b"\n"
