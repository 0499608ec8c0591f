"""A database that keeps the statements which it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from reelhook.storage.operation import ConflictKeys, Database, Operation, statements_of

T = TypeVar("T")


class WatchedDatabase:
    """Another database, whose statements are kept in `statements`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements: list[str] = []

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Give the list of the statements that run until the block ends."""
        self.statements = []
        yield self.statements

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        return await self._database.write(lambda: self._kept(make()), conflict_keys)

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        return await self._database.background(lambda: self._kept(make()), lock=lock)

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        return await self._database.read(lambda: self._kept(make()))

    async def close(self) -> None:
        await self._database.close()

    def _kept(self, operation: Operation[T]) -> Operation[T]:
        reply: Any = None
        while True:
            try:
                asked = operation.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            self.statements += [statement.sql for statement in statements_of(asked)]
            reply = yield asked
