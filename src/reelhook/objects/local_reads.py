"""Reading objects that are files of this machine, in threads."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from reelhook.core.offload import open_on_disk

CHUNK_BYTES = 256 * 1024
"""Large enough that handing a chunk to a thread costs little, and small next to many clients."""


class LocalFile:
    """An open file, which is read in `threads`. Its methods raise `OSError`."""

    def __init__(self, descriptor: int, threads: Executor) -> None:
        self._descriptor = descriptor
        self._threads = threads
        self.size = os.fstat(descriptor).st_size

    @classmethod
    async def open(cls, path: Path, threads: Executor) -> "LocalFile":
        """Open a file for reading."""
        opens = partial(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(await open_on_disk(opens, os.close, threads=threads), threads)

    async def chunks(self, position: int, end: int | None) -> AsyncIterator[bytes]:
        """Yield its bytes up to, not including, `end`; fewer if it becomes shorter meanwhile."""
        loop = asyncio.get_running_loop()
        end = self.size if end is None else end
        while position < end:
            length = min(CHUNK_BYTES, end - position)
            chunk = await loop.run_in_executor(
                self._threads, os.pread, self._descriptor, length, position
            )
            if not chunk:
                return
            position += len(chunk)
            yield chunk

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
