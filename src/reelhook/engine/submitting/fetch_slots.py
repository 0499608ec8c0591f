"""The fetches that may run at once: a slow host holds only its own jobs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FETCHES_AT_ONCE = 64
PER_HOST_AT_ONCE = 4


class FetchSlots:
    """The slots of one account. A fetch takes one of its host's, then one of all."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._users: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def take(self, host: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the block ends."""
        slots = self._hosts.setdefault(host, asyncio.Semaphore(PER_HOST_AT_ONCE))
        self._users[host] += 1
        try:
            async with slots, self._all:
                yield
        finally:
            self._users[host] -= 1
            if not self._users[host]:
                del self._users[host], self._hosts[host]
