"""A limit on an account's reads, as its provider states it."""

import asyncio

PAUSE_SECONDS_MAX = 60.0


class RateLimiter:
    """Allows at most `per_second` reads on average; None: any number."""

    def __init__(self, per_second: float | None) -> None:
        self._seconds = 0.0 if per_second is None else 1 / per_second
        self._next = 0.0

    async def wait_turn(self) -> None:
        """Wait until the next read is allowed. Callers are served in order."""
        now = asyncio.get_running_loop().time()
        if not self._seconds and self._next <= now:
            return
        mine = max(self._next, now)
        self._next = mine + self._seconds
        if mine > now:
            await asyncio.sleep(mine - now)

    def pause(self, seconds: float) -> None:
        """Allow no read for `seconds`, at most a minute: the provider reports that none is left."""
        if seconds > 0:
            until = asyncio.get_running_loop().time() + min(seconds, PAUSE_SECONDS_MAX)
            self._next = max(self._next, until)
