"""The spool: a folder of this machine for files between their provider and the archive.

All work on its disk runs in a few threads, apart from those of other work: a disk that hangs
stops nothing but the archive.
"""

import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from reelhook.core.disk_threads import DiskThreads
from reelhook.core.offload import open_on_disk, run_on_disk
from reelhook.engine.archive.partial_file import READ_BYTES, PartialFile, SpoolBusyError

T = TypeVar("T")
THREADS = 2
LEFT_SECONDS = 24 * 3600.0
"""A file that nothing has touched for so long may have been left behind."""
_SUFFIX = ".part"


class Spool:
    """The files of one folder. `usage` returns the free and all bytes of a folder's disk."""

    def __init__(
        self, folder: Path, usage: Callable[[Path], tuple[int, int]] | None = None
    ) -> None:
        self.folder = folder
        self._usage = usage or disk_usage
        self._threads = DiskThreads(THREADS, "archive")

    def close(self) -> None:
        """Begin no more work."""
        self._threads.shutdown()

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of work on the disk; see `run_on_disk`."""
        return await run_on_disk(work, threads=self._threads)

    @asynccontextmanager
    async def open(self, job_id: str) -> AsyncIterator[PartialFile]:
        """Open and lock a job's file. Raises `SpoolBusyError`."""
        opens = partial(self._opened, job_id)
        file = await open_on_disk(opens, PartialFile.close, threads=self._threads)
        try:
            yield file
        finally:
            await self.run(file.close)

    def _opened(self, job_id: str) -> PartialFile:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return PartialFile(self.folder / f"{job_id}{_SUFFIX}")

    async def space(self) -> tuple[int, int]:
        """Return the free and all bytes of the spool's disk."""
        return await self.run(self._space)

    def _space(self) -> tuple[int, int]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._usage(self.folder)

    async def left_behind(self) -> list[str]:
        """Return the jobs whose files nothing has touched for a day."""
        return await self.run(self._left_behind)

    def _left_behind(self) -> list[str]:
        oldest = time.time() - LEFT_SECONDS
        return [
            path.stem for path in self.folder.glob(f"*{_SUFFIX}") if path.stat().st_mtime < oldest
        ]

    async def remove(self, job_id: str) -> None:
        """Remove a job's file, unless it is in use."""
        try:
            async with self.open(job_id) as file:
                await self.run(file.remove)
        except SpoolBusyError:
            pass

    async def sha256_of(self, path: Path) -> str:
        """Return the hash of a file."""
        return await self.run(lambda: _sha256_of(path))


def disk_usage(folder: Path) -> tuple[int, int]:
    """Return the free and all bytes of a folder's disk."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while read := file.read(READ_BYTES):
            digest.update(read)
    return digest.hexdigest()
