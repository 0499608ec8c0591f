"""Operations: what the store does, as generators that yield statements and take their rows.

An operation knows nothing of threads, connections or drivers, so it runs on any of them, and
several can share one transaction. Parameters are numbered (`?1`), as both databases can read them.
What only PostgreSQL shall read stands in a comment: `/*pg FOR UPDATE */`.
"""

from collections.abc import Callable, Collection, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its parameters.

    `last`: one that gives out numbers in the order of commits. It returns no rows, and where
    there are several writers it waits for the end of the transaction, so that the others wait
    for that alone.
    """

    sql: str
    parameters: Sequence[Any] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Together:
    """Statements whose order among each other does not matter; answered with the rows of each."""

    statements: tuple[Statement, ...]


Operation = Generator[Statement | Together, list[Row], T]
ConflictKeys = Collection[Hashable] | None
"""What an operation reads for its decisions and writes, by any names; None: maybe anything."""


class Database(Protocol):
    """What runs operations."""

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        """Run an operation in a transaction; return once it is durable.

        Those that touch nothing in common may run side by side. Raises what the operation raises,
        `StoreError` when nothing was written and nothing will be, or `CommitUnknownError` when
        that can't be found out.
        """
        ...

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
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


def side_by_side(operations: Sequence[Operation[T]]) -> Operation[list[T]]:
    """Run operations as one, the next statement of each together with those of the others.

    They must touch nothing in common: so it is as if one ran after the other.
    """
    results: dict[int, T] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(operations)))
    while answers:
        asked: dict[int, Statement | Together] = {}
        for place, answer in answers.items():
            try:
                asked[place] = operations[place].send(answer)
            except StopIteration as stop:
                results[place] = stop.value
        answers = (yield from _ask_together(asked)) if asked else {}
    return [results[place] for place in range(len(operations))]


def _ask_together(asked: dict[int, Statement | Together]) -> Operation[dict[int, Any]]:
    statements = [one for each in asked.values() for one in statements_of(each)]
    rows = iter(cast("list[list[Row]]", (yield Together(tuple(statements)))))
    return {
        place: [next(rows) for _ in one.statements] if isinstance(one, Together) else next(rows)
        for place, one in asked.items()
    }


def query(sql: str, parameters: Sequence[Any] = ()) -> Operation[list[Row]]:
    """Return the rows of one statement."""
    return (yield Statement(sql, parameters))


def statements_of(asked: Statement | Together) -> tuple[Statement, ...]:
    """Return the statements that an operation yielded at once."""
    return asked.statements if isinstance(asked, Together) else (asked,)


def conflict_free_batches(
    works: Sequence[T], conflict_keys: Callable[[T], ConflictKeys]
) -> list[list[T]]:
    """Arrange works in waves, within which they may run side by side.

    Works that touch the same keep their order; one that may touch anything has its own wave.
    """
    found: list[list[T]] = []
    earliest = 0
    last: dict[Hashable, int] = {}
    for work in works:
        touched = conflict_keys(work)
        if touched is None:
            batch = earliest = len(found)
            earliest += 1
        else:
            batch = max((last.get(one, -1) + 1 for one in touched), default=0)
            batch = max(batch, earliest)
            last.update(dict.fromkeys(touched, batch))
        if batch == len(found):
            found.append([])
        found[batch].append(work)
    return found
