"""Operations: database work as generators that yield SQL statements and receive their rows.

An operation uses no thread, connection or driver, so it runs on any of them. Several operations
can share one transaction. Parameters are numbered (`?1`), which both databases understand.
SQL for PostgreSQL alone is written in a comment: `/*pg FOR UPDATE */`.
"""

from collections.abc import Callable, Collection, Generator, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")
Row = tuple[Any, ...]
Target = Path | str
"""The database to open: the path of a SQLite file, or the URL of a PostgreSQL database."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its parameters.

    `last` marks a statement that assigns numbers in commit order. It returns no rows. With several
    writers it runs at the end of the transaction, so that the others wait only for that part.
    """

    sql: str
    parameters: Sequence[Any] = field(default=(), repr=False)
    last: bool = False


@dataclass(frozen=True, slots=True)
class StatementBatch:
    """Statements that may run in any order. The reply is a list of the rows of each."""

    statements: tuple[Statement, ...]


Operation = Generator[Statement | StatementBatch, list[Row], T]
ConflictKeys = Collection[Hashable] | None
"""The keys of all that an operation writes, or reads for its decisions. None: anything."""


class Database(Protocol):
    """Runs operations."""

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        """Run an operation in a transaction and return once it is durable.

        `make` may be called more than once, in another thread: a transaction that fails is undone
        and run again. Operations that share no key may run concurrently. Raises what the operation
        raises, `StoreError` if nothing was written and nothing will be, or `CommitUnknownError` if
        that cannot be determined.
        """
        ...

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """Run an operation at low priority, concurrently with `write` where possible.

        A crash may undo it. `lock` names a table that no one else may write to at the same time; if
        it cannot be locked at once, `StoreError` is raised. Otherwise raises like `write`.
        """
        ...

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run a read-only operation on one snapshot. Raises like `write`."""
        ...

    async def close(self) -> None:
        """Finish pending work and close the database."""
        ...


def concurrently(operations: Sequence[Operation[T]]) -> Operation[list[T]]:
    """Run operations as one: the next statements of all of them are sent in one batch.

    They must share no conflict key. The result is the same as that of running them in turn.
    """
    results: dict[int, T] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(operations)))
    while replies:
        yielded: dict[int, Statement | StatementBatch] = {}
        for index, reply in replies.items():
            try:
                yielded[index] = operations[index].send(reply)
            except StopIteration as stop:
                results[index] = stop.value
        replies = (yield from _send_batch(yielded)) if yielded else {}
    return [results[index] for index in range(len(operations))]


def _send_batch(yielded: dict[int, Statement | StatementBatch]) -> Operation[dict[int, Any]]:
    statements = [statement for sent in yielded.values() for statement in statements_of(sent)]
    rows = iter(cast("list[list[Row]]", (yield StatementBatch(tuple(statements)))))
    return {
        index: [next(rows) for _ in sent.statements]
        if isinstance(sent, StatementBatch)
        else next(rows)
        for index, sent in yielded.items()
    }


def query(sql: str, parameters: Sequence[Any] = ()) -> Operation[list[Row]]:
    """Return the rows of one statement."""
    return (yield Statement(sql, parameters))


def padded(values: Sequence[T]) -> Sequence[T]:
    """Repeat the last value until their number is a power of two: few statements to prepare."""
    count = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (count - len(values))]


def statements_of(yielded: Statement | StatementBatch) -> tuple[Statement, ...]:
    """Return the statements that an operation yielded at once."""
    return yielded.statements if isinstance(yielded, StatementBatch) else (yielded,)


def conflict_free_batches(
    items: Sequence[T], conflict_keys: Callable[[T], ConflictKeys]
) -> list[list[T]]:
    """Split items into batches whose members share no key and so may run concurrently.

    Items that share a key keep their order. An item that may touch anything is alone in its batch.
    """
    batches: list[list[T]] = []
    earliest = 0
    last_batch: dict[Hashable, int] = {}
    for item in items:
        keys = conflict_keys(item)
        if keys is None:
            index = earliest = len(batches)
            earliest += 1
        else:
            index = max((last_batch.get(key, -1) + 1 for key in keys), default=0)
            index = max(index, earliest)
            last_batch.update(dict.fromkeys(keys, index))
        if index == len(batches):
            batches.append([])
        batches[index].append(item)
    return batches
