"""Waiting on conditions."""

import asyncio
from collections.abc import Callable

from reelhook.doors.compat.functions import Hook
from reelhook.ports import StoredJob

POLL_SECONDS = 0.01


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another program's
            await asyncio.sleep(POLL_SECONDS)


async def until_job(
    hook: Hook, job_id: str, condition: Callable[[StoredJob], bool], seconds: float = 60
) -> StoredJob:
    async with asyncio.timeout(seconds):
        while True:
            changed = hook.service.changed
            stored = await hook.service.job(job_id)
            if condition(stored):
                return stored
            await changed.wait()


def ended(stored: StoredJob) -> bool:
    return stored.job.status.terminal


def watched(stored: StoredJob) -> bool:
    return stored.job.status.watched
