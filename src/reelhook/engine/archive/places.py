"""The places for files that are fetched at the same time, shared by the accounts of a process."""

import asyncio
from collections import Counter
from collections.abc import Callable

FILES_AT_ONCE = 8
"""The files that a process fetches at the same time."""
FILES_AT_ONCE_OF_ACCOUNT = 6
LATE_AT_ONCE = 2
"""The files of earlier jobs among them, so that a new one never waits for an old one."""


class Place:
    """A taken place."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """Give the place back, unless that was done."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class Places:
    """Counts the files that are being fetched. A loop that finds no place is woken for the next."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._late = 0
        self._refused: set[asyncio.Event] = set()

    def free(self, account: str, wake: asyncio.Event) -> int:
        """Return the number of free places for an account."""
        free = min(
            FILES_AT_ONCE - self._taken.total(), FILES_AT_ONCE_OF_ACCOUNT - self._taken[account]
        )
        if free <= 0:
            self._refused.add(wake)
        return max(0, free)

    def take(self, account: str, wake: asyncio.Event, *, late: bool) -> Place | None:
        """Take a place; None if there is none."""
        if not self.free(account, wake):
            return None
        if late and self._late >= LATE_AT_ONCE:
            self._refused.add(wake)
            return None
        self._taken[account] += 1
        self._late += late
        return Place(lambda: self._left(account, late=late))

    def _left(self, account: str, *, late: bool) -> None:
        self._taken[account] -= 1
        self._late -= late
        refused, self._refused = self._refused, set()
        for wake in refused:
            wake.set()
