"""The fetches that may run at once: slow hosts and busy projects hold only their own jobs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FETCHES_AT_ONCE = 64
PER_PROJECT_AT_ONCE = 48
"""The most for one project; the other slots are left to all others."""
PER_HOST_AT_ONCE = 4


class FetchSlots:
    """The slots of one account. A fetch takes one of its host's, its project's, then of all."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._projects = _Slots(PER_PROJECT_AT_ONCE)
        self._hosts = _Slots(PER_HOST_AT_ONCE)

    @asynccontextmanager
    async def take(self, project: str, host: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the block ends."""
        async with self._hosts.take(host), self._projects.take(project), self._all:
            yield


class _Slots:
    """So many slots for each name."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._users: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[None]:
        """Wait for a slot of this name, and hold it until the block ends."""
        slots = self._slots.setdefault(name, asyncio.Semaphore(self._at_once))
        self._users[name] += 1
        try:
            async with slots:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._slots[name]
