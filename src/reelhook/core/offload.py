"""Moves large computations off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
THREAD_FROM = 2000
"""From this many jobs, a thread is worth its hand-over, which costs as much as some hundred
jobs."""


async def run_in_thread_if_large(count: int, work: Callable[[], T]) -> T:
    """Return the result of work on `count` jobs, computed in a thread if they are many."""
    return work() if count < THREAD_FROM else await asyncio.to_thread(work)
