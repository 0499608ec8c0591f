"""Running operations on a PostgreSQL connection with few round trips.

Statements that are yielded together and read the same go out in one pipelined batch: each is
still executed by itself, in order, but the network is waited for once.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import asyncpg

from reelhook.storage.operation import Operation, Row, Statement, StatementBatch

T = TypeVar("T")
# Chosen once: the advisory lock of the transaction that gives out numbers.
_NUMBERING_LOCK = 7_311_482_094
_PARAMETER = re.compile(r"\?(\d+)")
_COMMENT = re.compile(r"/\*pg (.*?)\*/")


class Pipeline:
    """Runs operations on one connection, within one transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._last: list[Statement] = []

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation to its end, but for the statements that go last."""
        rows: Any = None
        while True:
            try:
                asked = operation.send(rows)
            except StopIteration as stop:
                return cast("T", stop.value)
            if isinstance(asked, StatementBatch):
                rows = await self._run_all(asked.statements)
            else:
                rows = (await self._run_all((asked,)))[0]

    async def finish(self) -> None:
        """Run the statements that go last.

        A number that is given out here is greater than any that another transaction's readers
        have seen, and none smaller appears later: the lock is held until the commit.
        """
        if self._last:
            await self._connection.execute(f"SELECT pg_advisory_xact_lock({_NUMBERING_LOCK})")
            statements, self._last = self._last, []
            await self._run_batches(statements)

    async def _run_all(self, statements: Sequence[Statement]) -> list[list[Row]]:
        self._last += [one for one in statements if one.last]
        if not self._last:
            return await self._run_batches(statements)
        now = [one for one in statements if not one.last]
        rows = iter(await self._run_batches(now))
        return [[] if one.last else next(rows) for one in statements]

    async def _run_batches(self, statements: Sequence[Statement]) -> list[list[Row]]:
        answers: list[list[Row]] = [[] for _ in statements]
        places: dict[str, list[int]] = {}
        for place, one in enumerate(statements):
            places.setdefault(one.sql, []).append(place)
        for sql, alike in places.items():
            # In one order everywhere: so it is rare that two processes wait for each other's locks.
            alike.sort(key=lambda place: _rank(statements[place]))
            batch = [statements[place].parameters for place in alike]
            for place, rows in zip(alike, await self._run_batch(sql, batch), strict=True):
                answers[place] = rows
        return answers

    async def _run_batch(self, sql: str, batch: Sequence[Sequence[Any]]) -> list[list[Row]]:
        if len(batch) == 1:
            return [await self._connection.fetch(_translated(sql), *batch[0])]
        answers: list[list[Row]] = [[] for _ in batch]
        placed = _placed(sql, len(batch[0]) + 1)
        if placed is None:
            await self._connection.executemany(_translated(sql), batch)
            return answers
        numbered = [(*parameters, place) for place, parameters in enumerate(batch)]
        for row in await self._connection.fetchmany(placed, numbered):
            answers[row[0]].append(row[1:])
        return answers


def _rank(statement: Statement) -> tuple[bool, Any]:
    first = statement.parameters[0] if statement.parameters else None
    return first is not None, first


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    """Return the statement as PostgreSQL reads it."""
    return _PARAMETER.sub(r"$\1", _COMMENT.sub(r"\1", sql))


@lru_cache(maxsize=1024)
def _placed(sql: str, number: int) -> str | None:
    """Return the statement with a further parameter that comes back as its rows' first column.

    None for a statement that returns no rows.
    """
    place = f"CAST(${number} AS BIGINT)"
    if only_reads(sql):
        return f"SELECT {place}, answer.* FROM ({_translated(sql)}) AS answer"
    head, returning, columns = _translated(sql).rpartition("RETURNING ")
    return f"{head}{returning}{place}, {columns}" if returning else None


@lru_cache(maxsize=1024)
def only_reads(sql: str) -> bool:
    """Return whether the statement writes nothing."""
    return sql.lstrip()[:6].upper() == "SELECT"


class SeveralStatementsError(Exception):
    """A read asks more than one question, so that it needs a transaction for its snapshot."""


def code_of(operation: Operation[Any]) -> object:
    """Return what all calls of one generator function have in common."""
    return getattr(operation, "gi_code", None)


def single(operation: Operation[T]) -> Operation[T]:
    """Run an operation that is expected to be one plain query."""
    rows: Any = None
    for _ in range(2):
        try:
            asked = operation.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if rows is not None or isinstance(asked, StatementBatch) or not only_reads(asked.sql):
            break
        rows = yield asked
    raise SeveralStatementsError
