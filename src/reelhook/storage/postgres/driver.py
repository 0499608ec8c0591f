"""The PostgreSQL driver: a pool for reading, and one connection at a time for group commits.

Concurrent small writes share a transaction, as on SQLite. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Self, TypeVar

import asyncpg
import structlog

from reelhook.domain.errors import CommitUnknownError, SettingsError, StoreError
from reelhook.storage.error_text import error_text
from reelhook.storage.operation import ConflictKeys, Operation
from reelhook.storage.postgres.failover import FAILURES, Failover
from reelhook.storage.postgres.group_commit import PostgresGroups, PostgresWork, refuse
from reelhook.storage.postgres.pipeline import Pipeline, SeveralStatementsError, code_of, single
from reelhook.storage.postgres.pool import Pool
from reelhook.storage.postgres.refusals import refusal

T = TypeVar("T")
log = structlog.get_logger()
GROUP_SIZE_MAX = 1000
QUEUE_SECONDS = 3.0
"""The time for which a write waits for its turn. After that the server counts as unreachable."""
READ_SECONDS = 7.0
BACKGROUND_SECONDS = 30.0
DRIVER_CLOSE_SECONDS = 0.3
# Chosen once: the advisory lock for changing the schema.
_SCHEMA_LOCK = 7_311_482_093
_BEGIN_SCHEMA = (
    "BEGIN; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
# Background work never delays others for long, neither by waiting for a lock nor by syncing.
_BACKGROUND = "SET LOCAL lock_timeout = '50ms'; SET LOCAL synchronous_commit = off"


async def connect(url: str) -> asyncpg.Connection:
    """Open one connection.

    Raises `SettingsError` if there is no such database, or its subclass `DatabaseAwayError` if it
    may still come up.
    """
    try:
        # Each statement on such a connection runs once, so a cache would be useless.
        return await Failover(url).connect(statement_cache_size=0)
    except (*FAILURES, ValueError) as error:
        raise refusal(error) from None


async def hang_up(connection: asyncpg.Connection) -> None:
    """Close a connection, without waiting long for a server that does not respond."""
    with contextlib.suppress(*FAILURES):
        async with asyncio.timeout(DRIVER_CLOSE_SECONDS):
            await connection.close()
    connection.terminate()


async def read_once(url: str, make: Callable[[], Operation[T | None]]) -> T | None:
    """Run a read on a database that may be in use. Return None if it has no such table yet."""
    connection = await connect(url)
    try:
        return await Pipeline(connection).run(make())
    except asyncpg.UndefinedTableError:
        return None  # an empty database
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()


class SchemaLock:
    """The server's lock that lets only one process at a time change the schema.

    It ends with its transaction, even if the process crashes, so no stale lock remains. A session
    lock would stay on a pooler's connection.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = connection = await connect(self._url)
        try:
            # The role may have time limits, set for a pooler, that are too short for this.
            await connection.execute(_BEGIN_SCHEMA)
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK, timeout=60)
        except TimeoutError:
            connection.terminate()
            raise SettingsError(
                "Another reelhook has been changing the database's schema for a minute; "
                "wait for it, or stop it"
            ) from None
        except FAILURES as error:
            connection.terminate()
            raise refusal(error) from None
        except BaseException:  # canceled while it waits
            connection.terminate()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._connection is not None:
            await hang_up(self._connection)


class PostgreSQL:
    """One open database: `write` and `read` run operations."""

    def __init__(self, pool: Pool, group_size: int) -> None:
        self._pool = pool
        self._groups = PostgresGroups(pool)
        self._group_size = group_size
        self._queue: list[PostgresWork] = []
        self._queued = asyncio.Event()
        self._closed = False
        self._long_reads: set[object] = set()
        self._writer = asyncio.create_task(self._write_groups())

    @classmethod
    async def open(
        cls, url: str, *, pooled: bool = False, group_size: int = GROUP_SIZE_MAX
    ) -> Self:
        """Open the database. Raises like `connect`."""
        try:
            pool = await Pool.open(url, pooled=pooled)
        except (*FAILURES, ValueError) as error:
            raise refusal(error) from None
        database = cls(pool, group_size)
        try:
            await database._groups.arrive()
        except FAILURES as error:
            await database.close()
            raise refusal(error) from None
        return database

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        """Run an operation in a transaction that it may share; see `Database.write`."""
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        work = PostgresWork(make, conflict_keys, future)
        self._queue.append(work)
        self._queued.set()
        end = loop.call_later(QUEUE_SECONDS, self._give_up, work)
        try:
            return await future
        finally:
            end.cancel()

    def _give_up(self, work: PostgresWork) -> None:
        """Refuse a write that has not begun, so that it never runs."""
        if work in self._queue:
            self._queue.remove(work)
            refuse([work], TimeoutError(f"nothing was written for {QUEUE_SECONDS:g} s"))
            work.deliver()

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """Run an operation at low priority, in a separate transaction."""
        self._check_open()
        committing = False
        try:
            async with (
                self._pool.borrowed(BACKGROUND_SECONDS) as connection,
                connection.transaction(),
            ):
                await connection.execute(_BACKGROUND)
                if lock is not None:
                    await connection.execute(f"LOCK TABLE {lock} IN SHARE ROW EXCLUSIVE MODE")
                result = await Pipeline(connection).run(make())
                committing = True
        except FAILURES as error:
            if committing:
                raise CommitUnknownError from error
            raise StoreError(f"The database refused a write: {error_text(error)}") from error
        return result

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run a read-only operation on one snapshot."""
        self._check_open()
        try:
            async with self._pool.borrowed(READ_SECONDS) as connection:
                return await self._read(connection, make)
        except FAILURES as error:
            raise StoreError(f"The database can't be read: {error_text(error)}") from error

    async def _read(self, connection: Any, make: Callable[[], Operation[T]]) -> T:
        """Run an operation. A single statement runs without a transaction: two round trips less."""
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
        """Finish pending writes and close the connections, without waiting long for the server."""
        self._closed = True
        self._queued.set()
        await asyncio.wait([self._writer], timeout=DRIVER_CLOSE_SECONDS)
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        for work in list(self._queue):
            self._give_up(work)
        await self._groups.close(DRIVER_CLOSE_SECONDS)
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
                await self._groups.commit(group)
            except asyncio.CancelledError as error:
                refuse(group, error)
                raise
            except Exception as error:  # any error: the writer continues, and no caller hangs
                log.exception("writer.failed")
                refuse(group, error)
            finally:
                for work in group:
                    work.deliver()
