"""Messages for a SQLite file that cannot be used: a reason and its remedy."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.error_text import error_text

FULL_BYTES = 1024 * 1024
_SPACE = "free some space on its disk"
_MODE = "correct the mode or owner of it and its directory"
_LOCKED = "another program has locked it: close that program"
_REMEDIES: Mapping[int, str] = {
    apsw.SQLITE_FULL: _SPACE,
    apsw.SQLITE_READONLY: _MODE,
    apsw.SQLITE_PERM: _MODE,
    apsw.SQLITE_NOTADB: "name another file with DATABASE_URL or REELHOOK_DATA_DIR",
    apsw.SQLITE_CORRUPT: "restore a backup",
    apsw.SQLITE_BUSY: _LOCKED,
    apsw.SQLITE_LOCKED: _LOCKED,
    apsw.SQLITE_CANTOPEN: _MODE,
    apsw.SQLITE_IOERR: "its disk is failing or full: check the system's log",
}
_SYSTEM: Mapping[int, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EISDIR: "name a file with DATABASE_URL, or remove the directory",
    errno.EROFS: "choose another directory with REELHOOK_DATA_DIR",
    errno.EACCES: _MODE,
    errno.EPERM: _MODE,
}


def refusal(path: Path, error: BaseException, done: str = "opened") -> SettingsError:
    """Return the error that a user sees. `done` is the failed action, like `opened`."""
    text = f"the disk is full; {_SPACE}" if _is_full(path, error) else reason(error)
    return SettingsError(f"The database {path} can't be {done}: {text}")


def _is_full(path: Path, error: BaseException) -> bool:
    """Return True if an unspecific error comes from a full disk.

    SQLite then has no space for a file that its connections share.
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
    """Return the text of SQLite or the system, with a remedy if there is one."""
    if isinstance(error, OSError):
        text, remedy = error.strerror or error_text(error), _SYSTEM.get(error.errno or 0)
    else:
        code = _code(error)
        text, remedy = error_text(error), None if code is None else _REMEDIES.get(code & 0xFF)
    return text if remedy is None else f"{text}; {remedy}"


def _code(error: BaseException) -> int | None:
    if isinstance(error, apsw.Error):
        return getattr(error, "result", None)
    # Errors of `sqlite3` have it. That module is loaded only for migrations.
    return getattr(error, "sqlite_errorcode", None)
