"""Keeping an account's reads within the rate that its provider allows."""

import asyncio


class Pace:
    """Gives out turns, at most `per_second` of them on average; None: as many as are asked for."""

    def __init__(self, per_second: float | None) -> None:
        self._seconds = 0.0 if per_second is None else 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn. Turns are given in the order in which they were asked for."""
        if not self._seconds:
            return
        now = asyncio.get_running_loop().time()
        mine = max(self._next, now)
        self._next = mine + self._seconds
        if mine > now:
            await asyncio.sleep(mine - now)
