"""Limits lines about the same database error to one a minute, with the number of omitted ones.

While the database's disk is full, every write fails, and each would log several lines.
"""

import time
from collections.abc import Callable

import structlog
from structlog.typing import EventDict

SECONDS = 60.0
KINDS_MAX = 100
"""The number of different lines that are remembered."""
_OF_THE_DATABASE = "The database "
"""The beginning of the messages of database errors; see `domain.errors.StoreError`."""


class DatabaseLines:
    """Implements a processor of structlog. `now` returns the seconds of a monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: dict[tuple[object, ...], tuple[float, int]] = {}

    def __call__(self, _logger: object, method: str, event: EventDict) -> EventDict:
        """Pass a line on, or drop it. Raises `structlog.DropEvent`."""
        error = event.get("error")
        if method != "warning" or not str(error).startswith(_OF_THE_DATABASE):
            return event
        key = (event.get("event"), error, event.get("outcome"))
        logged_at, left_out = self._last.get(key, (-SECONDS, 0))
        if self._now() - logged_at < SECONDS:
            self._last[key] = (logged_at, left_out + 1)
            raise structlog.DropEvent
        if len(self._last) >= KINDS_MAX:
            self._last.clear()
        self._last[key] = (self._now(), 0)
        if left_out:
            event["left_out"] = left_out
        return event
