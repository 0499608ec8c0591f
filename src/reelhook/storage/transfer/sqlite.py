"""A SQLite file as the source or target of a copy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import apsw

from reelhook.storage.open import exclusive
from reelhook.storage.operation import Operation, Row
from reelhook.storage.sqlite import driver as sqlite
from reelhook.storage.sqlite.group_commit import run
from reelhook.storage.transfer.database import (
    TABLES,
    TransferDatabase,
    batch_rows,
    failure,
    key_range,
)

T = TypeVar("T")


@asynccontextmanager
async def sqlite_transfer(path: Path) -> AsyncIterator["SQLiteTransfer"]:
    """Open the file exclusively. Raises `SettingsError`."""
    async with exclusive(path):
        connection = sqlite.connect(path, read_only=False)
        with ThreadPoolExecutor(1, thread_name_prefix="reelhook-copy") as thread:
            try:
                yield SQLiteTransfer(path, connection, thread)
            finally:
                connection.close()


class SQLiteTransfer(TransferDatabase):
    """A SQLite file, used by one thread."""

    parameter = "?"

    def __init__(self, path: Path, connection: apsw.Connection, thread: ThreadPoolExecutor) -> None:
        self.name = str(path)
        self._connection = connection
        self._thread = thread

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """See `TransferDatabase.fetch`."""
        return await self._in_thread(lambda: self._connection.execute(sql, parameters).fetchall())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except apsw.Error as error:
            raise failure(self.name, None, error) from error

    async def tables(self) -> set[str]:
        """See `TransferDatabase.tables`."""
        rows = await self.fetch(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        return {row[0] for row in rows}

    async def columns(self, table: str) -> tuple[str, ...]:
        """See `TransferDatabase.columns`."""
        rows = await self.fetch("SELECT name FROM pragma_table_info(?1) ORDER BY name", (table,))
        return tuple(row[0] for row in rows)

    async def key(self, table: str) -> tuple[str, ...]:
        """See `TransferDatabase.key`."""
        return TABLES[table]

    async def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        after: Row | None = None,
        upto: Row | None = None,
    ) -> AsyncIterator[list[Row]]:
        """See `TransferDatabase.rows`."""
        key = TABLES[table]
        at = [list(columns).index(name) for name in key]
        while True:
            suffix, parameters = key_range(table, key, "?", after, upto)
            found = await self.fetch(
                f"SELECT {', '.join(columns)} {suffix} LIMIT {batch_rows(table)}", parameters
            )
            if found:
                yield found
            if len(found) < batch_rows(table):
                return
            after = tuple(found[-1][number] for number in at)

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """See `TransferDatabase.add`."""
        marks = ", ".join("?" for _ in columns)
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"

        def add() -> None:
            with self._connection:  # a savepoint: all or nothing
                self._connection.executemany(sql, rows)

        await self._in_thread(add)

    async def run(self, operation: Operation[None]) -> None:
        """See `TransferDatabase.run`."""

        def do() -> None:
            with self._connection:
                run(self._connection, operation)

        await self._in_thread(do)

    async def finish(self) -> None:
        """See `TransferDatabase.finish`."""
        # Nothing to do: SQLite derives the next id from the rows.
