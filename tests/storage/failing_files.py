"""SQLite's file system with syncs that fail on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw


class FailingFiles(apsw.VFS):
    """While it exists all files that are opened go through it; `failures` syncs of logs fail."""

    def __init__(self) -> None:
        self.failures = 0
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return _FailingLog(name, flags, self)
        return apsw.VFSFile("unix", name, flags)


class _FailingLog(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], files: FailingFiles) -> None:
        super().__init__("unix", name, flags)
        self._files = files

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        if self._files.failures > 0:
            self._files.failures -= 1
            raise apsw.IOError("the sync failed, of the test")


@contextmanager
def failing_files() -> Iterator[FailingFiles]:
    files = FailingFiles()
    try:
        yield files
    finally:
        files.unregister()
