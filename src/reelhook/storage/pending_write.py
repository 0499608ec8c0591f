"""A write that is queued for, or being run by, a driver's writer."""

import asyncio
from collections.abc import Callable
from typing import Any

from reelhook.storage.operation import Operation


class PendingWrite:
    """An operation to run, the future of its result, and the result of the last attempt."""

    __slots__ = ("error", "future", "make", "result")

    def __init__(self, make: Callable[[], Operation[Any]], future: asyncio.Future[Any]) -> None:
        self.make = make
        self.future = future
        self.begin()

    def begin(self) -> None:
        """Forget an earlier attempt, which was undone."""
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        """Pass the result or the error to the caller, unless the caller was canceled."""
        if self.future.done():
            return  # canceled; the write is committed anyway
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupSpoiltError(Exception):
    """The failure of one operation undoes the transaction that others share with it."""
