"""A key or secret that a provider publishes. It is fetched when a signature does not match."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

FETCH_INTERVAL_SECONDS = 60.0
"""A key is fetched at most this often, so that forged webhooks cause no more requests."""

Key = TypeVar("Key")


class FetchedKey(Generic[Key]):
    """The newest known key of one account. `fetch` asks the provider; `now` gives Unix seconds.

    `value` is None until a key is known.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Key]],
        now: Callable[[], float],
        value: Key | None = None,
    ) -> None:
        self.value = value
        self._fetch = fetch
        self._now = now
        self._fetched_at: float | None = None
        self._lock = asyncio.Lock()

    async def replaced(self, unfit: Key | None) -> Key | None:
        """Return a newer key than `unfit`, or `unfit` if it was fetched within the last minute.

        Raises the exception of `fetch`.
        """
        async with self._lock:
            if self.value is not None and self.value != unfit:
                return self.value  # another caller has just fetched it
            now = self._now()
            if self._fetched_at is None or abs(now - self._fetched_at) >= FETCH_INTERVAL_SECONDS:
                self._fetched_at = now
                self.value = await self._fetch()
            return self.value
