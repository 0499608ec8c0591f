"""Operations: what the store does, as generators that yield statements and take their rows.

An operation knows nothing of threads, connections or drivers, so it runs on any of them, and
several can share one transaction. Parameters are numbered (`?1`), as both databases can read them.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its parameters."""

    sql: str
    parameters: Sequence[Any] = ()


Operation = Generator[Statement, list[Row], T]


class Database(Protocol):
    """What runs operations."""

    async def write(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation in a transaction; return once it is durable.

        Raises what the operation raises, or `StoreError`.
        """
        ...

    async def aside(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """Run an operation for which nobody waits, beside those of `write` where that can be.

        It may be undone by a crash. With `lock` nobody else writes to that table meanwhile; where
        that can't be had at once, `StoreError` is raised. Otherwise raises as `write`.
        """
        ...

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads, in one snapshot. Raises as `write`."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        ...
