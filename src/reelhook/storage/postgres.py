"""The PostgreSQL driver: a pool for reading, and one connection at a time for group commits.

Concurrent small writes share a transaction, as on SQLite. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Self, TypeVar

import asyncpg
import structlog

from reelhook.domain.errors import SettingsError, StoreError
from reelhook.storage.group import FAILURES, Work, commit, refuse
from reelhook.storage.operation import Operation, Touches
from reelhook.storage.pipeline import Pipeline, SeveralStatementsError, code_of, single

T = TypeVar("T")
log = structlog.get_logger()
GROUP_SIZE_MAX = 1000
CONNECTIONS = 4
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
STATEMENTS_KEPT = 200
# Whoever is frozen in a transaction, or cut off from the server, holds its locks no longer than
# that. A lease takes longer to run out.
#
# Two processes that lock the same rows in another order wait for each other; the server notices
# after a second, which is long. So a group gives its locks up sooner, and tries again (`group`).
_SESSION = {"idle_in_transaction_session_timeout": "2000", "lock_timeout": "100"}
# Chosen once: the advisory lock of whoever changes the schema.
_SCHEMA_LOCK = 7_311_482_093
# It holds up nobody for long: neither by waiting for a lock, nor by syncing.
_ASIDE = "SET LOCAL lock_timeout = '50ms'; SET LOCAL synchronous_commit = off"


async def connect(url: str) -> asyncpg.Connection:
    """Open one connection. Raises `SettingsError` when there is no such database."""
    try:
        # What runs on a connection of its own runs once: no statement is worth keeping.
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    except (*FAILURES, ValueError) as error:
        raise SettingsError(f"The database of DATABASE_URL can't be opened: {error}") from None


async def read_key(url: str, name: str) -> str | None:
    """Return a key of our own from a database that may be in use; None if there is none."""
    connection = await connect(url)
    try:
        key: str | None = await connection.fetchval("SELECT value FROM keys WHERE name = $1", name)
    except asyncpg.UndefinedTableError:
        return None  # an empty database
    except FAILURES as error:
        raise SettingsError(f"The database of DATABASE_URL can't be read: {error}") from None
    finally:
        await connection.close()
    return key


class SchemaLock:
    """The server's lock under which one process at a time changes the schema.

    It goes with its transaction, however the process ends, so no stale lock is ever left. A lock
    of the session would stay behind on a pooler's connection.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = connection = await connect(self._url)
        try:
            await connection.execute("BEGIN")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK, timeout=60)
        except FAILURES:
            connection.terminate()
            raise SettingsError(
                "Another reelhook has been changing the database's schema for a minute; "
                "wait for it, or stop it"
            ) from None
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._connection is not None:
            with contextlib.suppress(*FAILURES):
                await self._connection.close()


class _Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A connection on which nothing is left behind that would have to be reset."""

    def get_reset_query(self) -> str:
        """Save the round trip."""
        return ""


class PostgreSQL:
    """One open database: `write` and `read` run operations."""

    def __init__(self, pool: asyncpg.Pool, group_size: int) -> None:
        self._pool = pool
        self._group_size = group_size
        self._queue: list[Work] = []
        self._queued = asyncio.Event()
        self._closed = False
        self._long_reads: set[object] = set()
        self._writer = asyncio.create_task(self._write_groups())

    @classmethod
    async def open(
        cls, url: str, *, pooled: bool = False, group_size: int = GROUP_SIZE_MAX
    ) -> Self:
        """Connect. Raises `SettingsError` when there is no such database.

        `pooled`: there is a pooler in transaction mode between us and the server, which keeps no
        prepared statement.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                statement_cache_size=0 if pooled else STATEMENTS_KEPT,
                server_settings={} if pooled else _SESSION,
                connection_class=_Connection,
            )
        except (*FAILURES, ValueError) as error:
            raise SettingsError(f"The database of DATABASE_URL can't be opened: {error}") from None
        return cls(pool, group_size)

    async def write(self, make: Callable[[], Operation[T]], touches: Touches = None) -> T:
        """Run an operation in a transaction, which it may share with others; return once it is
        durable. Raises what the operation raises, or `StoreError`.
        """
        self._check_open()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(Work(make, touches, future))
        self._queued.set()
        return await future

    async def aside(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """Run an operation for which nobody waits, in a transaction of its own."""
        self._check_open()
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ASIDE)
                if lock is not None:
                    await connection.execute(f"LOCK TABLE {lock} IN SHARE ROW EXCLUSIVE MODE")
                return await Pipeline(connection).run(make())
        except FAILURES as error:
            raise StoreError(f"The database refused a write: {error}") from error

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads, in one snapshot."""
        self._check_open()
        try:
            async with self._pool.acquire() as connection:
                return await self._read(connection, make)
        except FAILURES as error:
            raise StoreError(f"The database can't be read: {error}") from error

    async def _read(self, connection: Any, make: Callable[[], Operation[T]]) -> T:
        """Save a single statement the two round trips of a transaction."""
        operation = make()
        if code_of(operation) not in self._long_reads:
            try:
                return await Pipeline(connection).run(single(operation))
            except SeveralStatementsError:
                self._long_reads.add(code_of(operation))
                operation = make()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await Pipeline(connection).run(operation)

    async def close(self) -> None:
        """Finish what was begun and close the connections."""
        self._closed = True
        self._queued.set()
        await self._writer
        await self._pool.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The database is closed; the server is stopping")

    # -- the writer ---------------------------------------------------------------------------

    async def _write_groups(self) -> None:
        while self._queue or not self._closed:
            if not self._queue:
                self._queued.clear()
                await self._queued.wait()
                continue
            group = self._queue[: self._group_size]
            del self._queue[: self._group_size]
            try:
                await commit(self._pool, group)
            except Exception as error:  # whatever it was: the writer lives on, and no caller hangs
                log.exception("writer.failed")
                refuse(group, error)
            for work in group:
                work.end()
