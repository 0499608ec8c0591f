"""A PostgreSQL database as the source or target of a copy."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from reelhook.domain.errors import SettingsError
from reelhook.ports import SEEN_MILLISECONDS_MAX
from reelhook.storage.open import exclusive
from reelhook.storage.operation import Operation, Row
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.postgres.failover import FAILURES
from reelhook.storage.postgres.pipeline import Pipeline
from reelhook.storage.transfer.database import (
    TABLES,
    TransferDatabase,
    batch_rows,
    failure,
    key_range,
)

LEAVE_SECONDS = 3.0
"""The time for which the session of a killed process may remain on the server."""
_USED_BY_OTHERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
  AND usename = current_user AND pid <> pg_backend_pid()
  AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
"""
_WORKERS = (
    "SELECT count(*) FROM workers WHERE seen_until > now_ms() AND seen_until <= now_ms() + $1"
)
_COLUMNS = """
SELECT column_name, data_type, column_default FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 ORDER BY column_name COLLATE "C"
"""


@asynccontextmanager
async def postgres_transfer(url: str) -> AsyncIterator["PostgresTransfer"]:
    """Connect, and exclude others. Raises `SettingsError`."""
    async with exclusive(url):
        connection = await postgres.connect(url)
        try:
            transfer = PostgresTransfer(url, connection)
            await transfer.check_unused()
            yield transfer
        finally:
            await connection.close()


class PostgresTransfer(TransferDatabase):
    """A PostgreSQL database, over one connection."""

    parameter = "$"

    def __init__(self, url: str, connection: Any) -> None:
        self.name = re.sub(r"://[^/@]*@", "://", url).partition("?")[0]
        self._connection = connection

    async def check_unused(self) -> None:
        """Raise `SettingsError` if a server or a worker is using it."""
        others = await self._others()
        end = asyncio.get_running_loop().time() + LEAVE_SECONDS
        while others and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.1)
            others = await self._others()
        if "workers" in await self.tables():
            alive = await self.fetch(_WORKERS, (SEEN_MILLISECONDS_MAX,))
            others += alive[0][0]
        if others:
            raise SettingsError(
                f"{self.name} is in use by others ({others} connections or workers); "
                "stop all servers and workers on it, and any other program that is connected"
            )

    async def _others(self) -> int:
        return int((await self.fetch(_USED_BY_OTHERS))[0][0])

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """See `TransferDatabase.fetch`."""
        try:
            return [tuple(row) for row in await self._connection.fetch(sql, *parameters)]
        except FAILURES as error:
            raise failure(self.name, None, error) from error

    async def tables(self) -> set[str]:
        """See `TransferDatabase.tables`."""
        rows = await self.fetch(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
        )
        return {row[0] for row in rows}

    async def columns(self, table: str) -> tuple[str, ...]:
        """See `TransferDatabase.columns`."""
        return tuple(row[0] for row in await self.fetch(_COLUMNS, (table,)))

    async def _of_type(self, table: str, kind: str) -> set[str]:
        return {row[0] for row in await self.fetch(_COLUMNS, (table,)) if row[1] == kind}

    async def key(self, table: str) -> tuple[str, ...]:
        """Return the key with SQLite's collation, by bytes."""
        text = await self._of_type(table, "text")
        return tuple(f'{name} COLLATE "C"' if name in text else name for name in TABLES[table])

    async def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        after: Row | None = None,
        upto: Row | None = None,
    ) -> AsyncIterator[list[Row]]:
        """See `TransferDatabase.rows`."""
        suffix, parameters = key_range(table, await self.key(table), "$", after, upto)
        sql = f"SELECT {', '.join(columns)} {suffix}"
        try:
            # Sorted once, for all batches.
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = await self._connection.cursor(sql, *parameters)
                while found := await cursor.fetch(batch_rows(table)):
                    yield [tuple(row) for row in found]
        except FAILURES as error:
            raise failure(self.name, table, error) from error

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """See `TransferDatabase.add`."""
        boolean = await self._of_type(table, "boolean")
        at = [number for number, name in enumerate(columns) if name in boolean]
        try:
            await self._connection.copy_records_to_table(
                table, columns=list(columns), records=[_with_booleans(row, at) for row in rows]
            )
        except (*FAILURES, ValueError, TypeError) as error:
            raise failure(self.name, table, error) from error

    async def run(self, operation: Operation[None]) -> None:
        """See `TransferDatabase.run`."""
        try:
            async with self._connection.transaction():
                await Pipeline(self._connection).run(operation)
        except FAILURES as error:
            raise failure(self.name, None, error) from error

    async def finish(self) -> None:
        """See `TransferDatabase.finish`."""
        for table in TABLES:
            for name, _, default in await self.fetch(_COLUMNS, (table,)):
                if default is not None and default.startswith("nextval("):
                    await self.fetch(
                        f"SELECT setval(pg_get_serial_sequence($1, $2), coalesce(max({name}), 1),"
                        f" max({name}) IS NOT NULL) FROM {table}",
                        (table, name),
                    )
        await self.fetch("ANALYZE")


def _with_booleans(row: Row, at: Sequence[int]) -> Row:
    if not at:
        return row
    values = list(row)
    for number in at:
        values[number] = None if values[number] is None else bool(values[number])
    return tuple(values)
