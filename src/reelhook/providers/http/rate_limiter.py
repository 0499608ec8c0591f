"""Keeping an account's reads within the rate that its provider allows."""

import asyncio

REST_SECONDS_MAX = 60.0


class RateLimiter:
    """Gives out turns, at most `per_second` of them on average; None: as many as are asked for."""

    def __init__(self, per_second: float | None) -> None:
        self._seconds = 0.0 if per_second is None else 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn. Turns are given in the order in which they were asked for."""
        now = asyncio.get_running_loop().time()
        if not self._seconds and self._next <= now:
            return
        mine = max(self._next, now)
        self._next = mine + self._seconds
        if mine > now:
            await asyncio.sleep(mine - now)

    def rest(self, seconds: float) -> None:
        """Give out no turn for so long, a minute at most: the provider says that none is left."""
        if seconds > 0:
            until = asyncio.get_running_loop().time() + min(seconds, REST_SECONDS_MAX)
            self._next = max(self._next, until)
