"""Runs operations on a PostgreSQL connection with few round trips.

Statements of a batch that have the same text are sent in one pipeline. Each is still executed
separately, in order, but there is only one network round trip.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import asyncpg

from reelhook.storage.operation import Operation, Row, Statement, StatementBatch, statements_of

T = TypeVar("T")
# Chosen once: the advisory lock of the transaction that assigns numbers.
_NUMBERING_LOCK = 7_311_482_094
_PARAMETER = re.compile(r"\?(\d+)")
_COMMENT = re.compile(r"/\*pg (.*?)\*/")


class Pipeline:
    """Runs operations on one connection, within one transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._last: list[Statement] = []

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation, except its `last` statements."""
        rows: Any = None
        while True:
            try:
                yielded = operation.send(rows)
            except StopIteration as stop:
                return cast("T", stop.value)
            if isinstance(yielded, StatementBatch):
                rows = await self._run_all(yielded.statements)
            else:
                rows = (await self._run_all((yielded,)))[0]

    async def finish(self) -> None:
        """Run the `last` statements.

        The lock is held until the commit. So a number assigned here exceeds all numbers visible to
        readers, and no smaller number appears later.
        """
        if self._last:
            await self._connection.execute(f"SELECT pg_advisory_xact_lock({_NUMBERING_LOCK})")
            statements, self._last = self._last, []
            await self._run_batches(statements)

    async def _run_all(self, statements: Sequence[Statement]) -> list[list[Row]]:
        self._last += [statement for statement in statements if statement.last]
        if not self._last:
            return await self._run_batches(statements)
        now = [statement for statement in statements if not statement.last]
        rows = iter(await self._run_batches(now))
        return [[] if statement.last else next(rows) for statement in statements]

    async def _run_batches(self, statements: Sequence[Statement]) -> list[list[Row]]:
        replies: list[list[Row]] = [[] for _ in statements]
        by_text: dict[str, list[int]] = {}
        for index, statement in enumerate(statements):
            by_text.setdefault(statement.sql, []).append(index)
        for sql, indexes in by_text.items():
            # The same order everywhere makes deadlocks between two processes rare.
            indexes.sort(key=lambda index: _rank(statements[index]))
            batch = [statements[index].parameters for index in indexes]
            for index, rows in zip(indexes, await self._run_batch(sql, batch), strict=True):
                replies[index] = rows
        return replies

    async def _run_batch(self, sql: str, batch: Sequence[Sequence[Any]]) -> list[list[Row]]:
        if len(batch) == 1:
            return [await self._connection.fetch(_translated(sql), *batch[0])]
        replies: list[list[Row]] = [[] for _ in batch]
        tagged = _tagged(sql, len(batch[0]) + 1)
        if tagged is None:
            await self._connection.executemany(_translated(sql), batch)
            return replies
        numbered = [(*parameters, index) for index, parameters in enumerate(batch)]
        for row in await self._connection.fetchmany(tagged, numbered):
            replies[row[0]].append(row[1:])
        return replies


def _rank(statement: Statement) -> tuple[bool, Any]:
    first = statement.parameters[0] if statement.parameters else None
    return first is not None, first


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    """Return the statement in PostgreSQL's syntax."""
    return _PARAMETER.sub(r"$\1", _COMMENT.sub(r"\1", sql))


@lru_cache(maxsize=1024)
def _tagged(sql: str, number: int) -> str | None:
    """Return the statement with one more parameter, which becomes the first column of its rows.

    None for a statement that returns no rows.
    """
    tag = f"CAST(${number} AS BIGINT)"
    if only_reads(sql):
        return f"SELECT {tag}, reply.* FROM ({_translated(sql)}) AS reply"
    head, returning, columns = _translated(sql).rpartition("RETURNING ")
    return f"{head}{returning}{tag}, {columns}" if returning else None


@lru_cache(maxsize=1024)
def only_reads(sql: str) -> bool:
    """Return True if the statement writes nothing."""
    return sql.lstrip()[:6].upper() == "SELECT"


def has_written(yielded: Statement | StatementBatch, reply: Any) -> bool:
    """Return True unless the statements only read, or returned no row although rows are returned.

    So a condition of a write that is not met has written nothing.
    """
    replies = reply if isinstance(yielded, StatementBatch) else [reply]
    return any(
        bool(rows) or "RETURNING" not in statement.sql
        for statement, rows in zip(statements_of(yielded), replies, strict=True)
        if not only_reads(statement.sql)
    )


class SeveralStatementsError(Exception):
    """A read has more than one query, so it needs a transaction for its snapshot."""


def code_of(operation: Operation[Any]) -> object:
    """Return the code of an operation's generator function, which is the same for all its calls."""
    return getattr(operation, "gi_code", None)


def single(operation: Operation[T]) -> Operation[T]:
    """Run an operation that is expected to be a single query."""
    rows: Any = None
    for _ in range(2):
        try:
            yielded = operation.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if rows is not None or isinstance(yielded, StatementBatch) or not only_reads(yielded.sql):
            break
        rows = yield yielded
    raise SeveralStatementsError
