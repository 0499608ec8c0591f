"""The lock that makes one process the owner of a SQLite file, under any of its names."""

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Self

from reelhook.domain.errors import SettingsError
from reelhook.storage.sqlite.refusals import refusal

# SQLite locks bytes in the first GiB of the file; this byte is far beyond that.
_OWNED_BYTE = 1 << 62
_WRITE_LOCK_ON_IT = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, _OWNED_BYTE, 1, 0)
_LOCK_OF_A_DESCRIPTOR = getattr(fcntl, "F_OFD_SETLK", None)
"""Linux only: such a lock survives the closing of another descriptor of the same file."""


class FileLock:
    """Two kernel locks: on a file next to the database, and on the database itself.

    The first works for symbolic links and relative paths, and names the owner. The second also
    works for hard links and mounts, which give the file other names. Both end with the process,
    even if it crashes, so no stale lock remains.
    """

    _owned: set[tuple[int, int]] = set()  # noqa: RUF012 - shared: closing a file that this process has open would drop SQLite's locks on it
    """The files, by device and inode, that this process owns."""

    def __init__(self, database: Path) -> None:
        self._database = database.resolve()
        self.path = self._database.with_name(self._database.name + ".lock")
        self._descriptors: list[int] = []
        self._inode: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Take ownership. Raises `SettingsError` if it is taken, or the file cannot be used."""
        try:
            self._acquire()
        except BaseException:
            self.release()
            raise

    def _acquire(self) -> None:
        lock_file = self._open(self.path)
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(lock_file, 32).decode(errors="replace").strip() or "unknown"
            raise self._refusal(f"Another reelhook (process {owner}) is already running") from None
        if self._is_owned_here():
            raise self._refusal("This process is already running, under another name of the file,")
        database = self._open(self._database)
        if not _locked(database):
            raise self._refusal(
                "Another reelhook is already running, under another name of the file,"
            )
        found = os.fstat(database)
        self._inode = (found.st_dev, found.st_ino)
        self._owned.add(self._inode)
        try:
            os.truncate(lock_file, 0)
            os.pwrite(lock_file, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise refusal(self._database, error) from None

    def _open(self, path: Path) -> int:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT} or _is_there(path):
                raise refusal(path, error) from None
            raise SettingsError(
                f"The data directory {path.parent} can't be written ({error.strerror}); "
                "choose another with REELHOOK_DATA_DIR"
            ) from None
        self._descriptors.append(descriptor)
        return descriptor

    def _is_owned_here(self) -> bool:
        try:
            found = self._database.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) in self._owned

    def _refusal(self, problem: str) -> SettingsError:
        return SettingsError(
            f"{problem} on {self.path.parent}; stop it, or choose another REELHOOK_DATA_DIR",
            problem="database_owned",
        )

    def release(self) -> None:
        """Give up ownership."""
        if self._inode is not None:
            self._owned.discard(self._inode)
            self._inode = None
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its directory cannot be read
        return False


def _locked(descriptor: int) -> bool:
    """Lock the database itself. Return False if another process has the lock."""
    if _LOCK_OF_A_DESCRIPTOR is None:
        return True  # the lock next to it has to suffice
    try:
        fcntl.fcntl(descriptor, _LOCK_OF_A_DESCRIPTOR, _WRITE_LOCK_ON_IT)
    except OSError as error:
        # A file system without such locks does not prevent a start.
        return error.errno not in {errno.EAGAIN, errno.EACCES}
    return True
