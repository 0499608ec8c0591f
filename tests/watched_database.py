"""A database that keeps the statements which a test's own calls run."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from reelhook.storage.operation import ConflictKeys, Database, Operation, statements_of

T = TypeVar("T")
Kept = tuple[asyncio.Task[Any] | None, list[list[str]]]
_KEPT: ContextVar[Kept | None] = ContextVar("kept", default=None)


@contextmanager
def watched() -> Iterator[list[list[str]]]:
    """Give the statements of each operation that this task runs until the block ends.

    Tasks that it starts don't count: they run when they like.
    """
    kept: list[list[str]] = []
    token = _KEPT.set((asyncio.current_task(), kept))
    try:
        yield kept
    finally:
        _KEPT.reset(token)


class WatchedDatabase:
    """Another database, whose statements can be `watched`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        return await self._database.write(_keeping(make), conflict_keys)

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        return await self._database.background(_keeping(make), lock=lock)

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        return await self._database.read(_keeping(make))

    async def close(self) -> None:
        await self._database.close()


def _keeping(make: Callable[[], Operation[T]]) -> Callable[[], Operation[T]]:
    # Decided here: the operation itself may run in another task or thread.
    task, kept = _KEPT.get() or (None, [])
    if task is None or task is not asyncio.current_task():
        return make
    statements: list[str] = []
    kept.append(statements)
    return lambda: _kept(make(), statements)


def _kept(operation: Operation[T], statements: list[str]) -> Operation[T]:
    statements.clear()  # a transaction that failed is run again
    reply: Any = None
    while True:
        try:
            asked = operation.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        statements += [statement.sql for statement in statements_of(asked)]
        reply = yield asked
