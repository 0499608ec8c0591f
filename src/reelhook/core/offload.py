"""Moves large computations, and work on disks, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")
THREAD_FROM = 2000
"""From this many jobs, a thread is worth its hand-over, which costs as much as some hundred
jobs."""


THREAD_FROM_BYTES = 64 * 1024
"""From this many bytes of a file, so is the conversion of one."""


async def convert_in_thread_if_large(size: int, work: Callable[[], T]) -> T:
    """Return the result of work on `size` bytes, computed in a thread if they are many."""
    return work() if size < THREAD_FROM_BYTES else await asyncio.to_thread(work)


async def run_in_thread_if_large(count: int, work: Callable[[], T]) -> T:
    """Return the result of work on `count` jobs, computed in a thread if they are many."""
    return work() if count < THREAD_FROM else await asyncio.to_thread(work)


async def run_on_disk(
    work: Callable[[], T],
    *,
    threads: Executor | None = None,
    discard: Callable[[T], object] | None = None,
) -> T:
    """Return the result of work on a disk, which may hang, done in a thread.

    A cancellation waits for the end of the work, since its file must stay open until then. After
    one, `discard` gets the result, for example to close it.
    """
    done = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if discard is not None:  # also if this wait is cancelled again
            done.add_done_callback(lambda _: _has_result(done) and discard(done.result()))
        await asyncio.wait([done])
        raise


def _has_result(done: "asyncio.Future[T]") -> bool:
    return not done.cancelled() and done.exception() is None
