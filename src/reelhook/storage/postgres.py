"""The PostgreSQL driver: a pool for reading, and one connection at a time for group commits.

Concurrent small writes share a transaction, as on SQLite. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Self, TypeVar, cast

import asyncpg
import structlog

from reelhook.domain.errors import SettingsError, StoreError
from reelhook.storage.operation import Operation, Row

T = TypeVar("T")
log = structlog.get_logger()
GROUP_SIZE_MAX = 1000
CONNECTIONS = 4
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
# Chosen once: the advisory lock of whoever changes the schema.
_SCHEMA_LOCK = 7_311_482_093
_CHANNEL = "reelhook"
NOTIFY_SECONDS = 0.05
RECONNECT_SECONDS = 1.0
# It holds up nobody for long: neither by waiting for a lock, nor by syncing.
_ASIDE = "SET LOCAL lock_timeout = '50ms'; SET LOCAL synchronous_commit = off"
_PARAMETER = re.compile(r"\?(\d+)")
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    """Return the statement with PostgreSQL's parameters."""
    return _PARAMETER.sub(r"$\1", sql)


@lru_cache(maxsize=1024)
def _only_reads(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "SELECT"


async def connect(url: str) -> asyncpg.Connection:
    """Open one connection. Raises `SettingsError` when there is no such database."""
    try:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    except (*_FAILURES, ValueError) as error:
        raise SettingsError(f"The database of DATABASE_URL can't be opened: {error}") from None


async def read_key(url: str, name: str) -> str | None:
    """Return a key of our own from a database that may be in use; None if there is none."""
    connection = await connect(url)
    try:
        key: str | None = await connection.fetchval("SELECT value FROM keys WHERE name = $1", name)
    except asyncpg.UndefinedTableError:
        return None  # an empty database
    finally:
        await connection.close()
    return key


class SchemaLock:
    """The server's lock under which one process at a time changes the schema.

    It goes with its connection, however the process ends, so no stale lock is ever left.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = connection = await connect(self._url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _SCHEMA_LOCK, timeout=60)
        except _FAILURES:
            connection.terminate()
            raise SettingsError(
                "Another reelhook has been changing the database's schema for a minute; "
                "wait for it, or stop it"
            ) from None
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._connection is not None:
            with contextlib.suppress(*_FAILURES):
                await self._connection.close()


class Wire:
    """Wakes other processes on the same database: coalesced NOTIFY on a connection of its own.

    Never inside anybody's transaction. Where LISTEN is not to be had, behind a pooler, polling
    finds everything a little later.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._names: set[str] = set()
        self._due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def tell(self, name: str) -> None:
        """Pass a name on, within `NOTIFY_SECONDS`."""
        self._names.add(name)
        self._due.set()

    def start(self, hear: Callable[[Sequence[str]], None]) -> None:
        """Begin to tell and to hear."""
        self._tasks = [asyncio.create_task(self._keep_up(hear))]

    async def close(self) -> None:
        """Hang up; what was told last still goes out if that is quick."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_up(self, hear: Callable[[Sequence[str]], None]) -> None:
        while True:
            try:
                await self._talk(hear)
            except _FAILURES as error:
                log.warning("wire.lost", error=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, hear: Callable[[Sequence[str]], None]) -> None:
        connection = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS)
        try:
            ours = connection.get_server_pid()

            def heard(_: object, pid: int, _channel: str, names: str) -> None:
                if pid != ours:
                    hear(names.split(","))

            await connection.add_listener(_CHANNEL, heard)
            while True:
                await self._due.wait()
                await asyncio.sleep(NOTIFY_SECONDS)
                self._due.clear()
                names, self._names = ",".join(sorted(self._names)), set()
                await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, names)
        finally:
            connection.terminate()


class _Work:
    """An operation on its way through the writer, and the future of its result."""

    __slots__ = ("future", "make")

    def __init__(self, make: Callable[[], Operation[Any]], future: "asyncio.Future[Any]") -> None:
        self.make = make
        self.future = future

    def end(self, outcome: "_Outcome") -> None:
        if self.future.done():  # its caller was canceled; the write stands all the same
            return
        if outcome.error is None:
            self.future.set_result(outcome.result)
        else:
            self.future.set_exception(outcome.error)


class _Outcome:
    __slots__ = ("error", "result", "wrote")

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self.wrote = False


class _GroupSpoiltError(Exception):
    """One operation's failure undoes the transaction that others share with it."""


class PostgreSQL:
    """One open database: `write` and `read` run operations."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._queue: list[_Work] = []
        self._queued = asyncio.Event()
        self._closed = False
        self._writer = asyncio.create_task(self._write_groups())

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect. Raises `SettingsError` when there is no such database."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
            )
        except (*_FAILURES, ValueError) as error:
            raise SettingsError(f"The database of DATABASE_URL can't be opened: {error}") from None
        return cls(pool)

    async def write(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation in a transaction, which it may share with others; return once it is
        durable. Raises what the operation raises, or `StoreError`.
        """
        self._check_open()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Work(make, future))
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
                return await _run(connection, make())
        except _FAILURES as error:
            raise StoreError(f"The database refused a write: {error}") from error

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads, in one snapshot."""
        self._check_open()
        try:
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                return await _run(connection, make())
        except _FAILURES as error:
            raise StoreError(f"The database can't be read: {error}") from error

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
            group, self._queue = self._queue[:GROUP_SIZE_MAX], self._queue[GROUP_SIZE_MAX:]
            try:
                outcomes = await self._commit(group)
            except _GroupSpoiltError:
                # Who spoilt it shows when each has a transaction of its own.
                outcomes = [await self._commit_alone(work) for work in group]
            for work, outcome in zip(group, outcomes, strict=True):
                work.end(outcome)

    async def _commit(self, group: Sequence[_Work]) -> list[_Outcome]:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                outcomes = []
                for work in group:
                    outcome = await _attempt(connection, work)
                    if outcome.error is not None and (outcome.wrote or _failed(outcome.error)):
                        raise _GroupSpoiltError
                    outcomes.append(outcome)
                return outcomes
        except _FAILURES as error:
            return [_unwritten(error) for _ in group]

    async def _commit_alone(self, work: _Work) -> _Outcome:
        try:
            async with self._pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                outcome = await _attempt(connection, work)
                await (transaction.commit() if outcome.error is None else transaction.rollback())
        except _FAILURES as error:
            return _unwritten(error)
        if outcome.error is not None and _failed(outcome.error):
            return _unwritten(outcome.error)
        return outcome


def _failed(error: Exception) -> bool:
    return isinstance(error, _FAILURES)


def _unwritten(error: BaseException) -> _Outcome:
    outcome = _Outcome()
    outcome.error = StoreError(f"The database refused a write: {error}")
    return outcome


async def _attempt(connection: Any, work: _Work) -> _Outcome:
    outcome = _Outcome()
    try:
        outcome.result = await _run(connection, work.make(), outcome)
    except Exception as error:
        outcome.error = error
    return outcome


async def _run(connection: Any, operation: Operation[T], outcome: _Outcome | None = None) -> T:
    """Run one operation to its end on this connection."""
    rows: list[Row] | None = None
    while True:
        try:
            statement = next(operation) if rows is None else operation.send(rows)
        except StopIteration as stop:
            return cast("T", stop.value)
        if outcome is not None and not _only_reads(statement.sql):
            outcome.wrote = True
        rows = await connection.fetch(_translated(statement.sql), *statement.parameters)
