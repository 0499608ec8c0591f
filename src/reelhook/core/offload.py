"""Work on very many jobs, done where it does not hold up what else the event loop does."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ASIDE_FROM = 2000
"""From so many jobs on a thread does it: to hand it over costs as much as some hundred jobs."""


async def run_in_thread_if_large(count: int, work: Callable[[], T]) -> T:
    """Work on so many jobs: in a thread, where they are many."""
    return work() if count < ASIDE_FROM else await asyncio.to_thread(work)
