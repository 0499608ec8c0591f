"""Moves large computations off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
THREAD_FROM = 2000
"""The number of jobs from which a thread pays: the hand-over costs as much as a few hundred."""


async def run_in_thread_if_large(count: int, work: Callable[[], T]) -> T:
    """Return the result of work on this many jobs, computed in a thread if they are many."""
    return work() if count < THREAD_FROM else await asyncio.to_thread(work)
