"""A child process that is started and spoken to in a thread of its own.

asyncio's own subprocesses are not used: under uvloop, Python code runs in the child between fork
and exec. A lock that another thread held at the fork, such as that of SQLite's allocator, is never
released in the child. So it waits forever, and the server waits for it. `subprocess` runs no Python
code there.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from subprocess import Popen
from typing import Self, TypeVar

T = TypeVar("T")


class ChildProcess:
    """Starts a process with the first work, and kills it at the end of the `async with` block.

    Work that is in progress then ends as well, since it reads from and writes to the process. The
    thread outlives the process: Linux takes the end of the thread that started a process for the
    end of its parent, see `frames/confinement.py`.
    """

    def __init__(self, start: Callable[[], Popen[bytes]]) -> None:
        self._start = start
        self._process: Popen[bytes] | None = None
        self._is_ended = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="child-process")

    async def run(self, work: Callable[[Popen[bytes]], T]) -> T:
        """Do blocking work with the process in its thread. Raises what `start` and `work` raise."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self._started())
        )

    async def end(self) -> None:
        """Kill the process, and wait for its end."""
        self._is_ended = True
        if self._process is not None:
            self._process.kill()
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        # Shielded: the process is also waited for when nobody waits for this.
        await asyncio.shield(closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    def _started(self) -> Popen[bytes]:
        if self._process is None:
            self._process = self._start()
        if self._is_ended:
            # `end` may have come before there was a process to kill.
            self._process.kill()
        return self._process

    def _close(self) -> None:
        if self._process is None:
            return
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # The rest of an order can't be written to a process that has ended.
                with contextlib.suppress(OSError):
                    pipe.close()
