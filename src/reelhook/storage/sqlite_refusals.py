"""Why a SQLite file can't be used, in one sentence with its remedy."""

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.words import words_of

FULL_BYTES = 1024 * 1024
_FULL = "the disk is full; free some space"
_READ_ONLY = "it can't be written; correct its mode or owner, or the disk's that it lies on"
_REMEDIES: Mapping[int, str] = {
    apsw.SQLITE_FULL: _FULL,
    apsw.SQLITE_READONLY: _READ_ONLY,
    apsw.SQLITE_PERM: _READ_ONLY,
    apsw.SQLITE_NOTADB: (
        "it is no SQLite database; name another file by DATABASE_URL or REELHOOK_DATA_DIR"
    ),
    apsw.SQLITE_CORRUPT: "it is damaged; put a backup in its place",
    apsw.SQLITE_BUSY: "another program has locked it; close that program",
    apsw.SQLITE_LOCKED: "another program has locked it; close that program",
    apsw.SQLITE_CANTOPEN: "it can't be opened; correct the mode or owner of it and its directory",
    apsw.SQLITE_IOERR: "its disk fails, or is full; look into the system's log",
}
_SYSTEM: Mapping[int, str] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EISDIR: "it is a directory; name a file by DATABASE_URL, or remove the directory",
    errno.EROFS: "its disk is read-only; choose another directory with REELHOOK_DATA_DIR",
    errno.EACCES: "this user may not write it; correct the mode or owner of it and its directory",
    errno.EPERM: "this user may not write it; correct the mode or owner of it and its directory",
}


def refusal(path: Path, error: BaseException, done: str = "opened") -> SettingsError:
    """Return the error that a user sees. `done`: what can't be done to the database."""
    words = _FULL if _is_full(path, error) else reason(error)
    return SettingsError(f"The database {path} can't be {done}: {words}")


def _is_full(path: Path, error: BaseException) -> bool:
    """Whether an error that says nothing comes from a full disk: SQLite has no place for a file
    that its connections share.
    """
    code = _code(error)
    if code is None or code & 0xFF != apsw.SQLITE_IOERR:
        return False
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < FULL_BYTES


def reason(error: BaseException) -> str:
    """Return what an error of SQLite or of the system means, with the remedy where there is one."""
    if isinstance(error, OSError):
        return _SYSTEM.get(error.errno or 0) or error.strerror or words_of(error)
    code = _code(error)
    told = None if code is None else _REMEDIES.get(code & 0xFF)
    return words_of(error) if told is None else told


def _code(error: BaseException) -> int | None:
    if isinstance(error, apsw.Error):
        return getattr(error, "result", None)
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None)
    return None
