"""Moves large computations off the event loop."""

import asyncio
from collections.abc import Callable
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
