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


async def run_on_disk(work: Callable[[], T], *, threads: Executor | None = None) -> T:
    """Return the result of work on a disk, which may hang, done in a thread.

    A cancellation waits for the end of the work, since its file must stay open until then.
    """
    done = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise


async def open_on_disk(
    opens: Callable[[], T], close: Callable[[T], object], *, threads: Executor | None = None
) -> T:
    """Return the result of `opens`, done in a thread.

    After a cancellation `close` gets the result as soon as there is one, so nothing stays open.
    """
    opening = asyncio.get_running_loop().run_in_executor(threads, opens)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda _: _has_result(opening) and close(opening.result()))
        raise


def _has_result(done: "asyncio.Future[T]") -> bool:
    return not done.cancelled() and done.exception() is None
