"""The SQLite driver: one process owns the file, one thread writes it, others only read.

Concurrent small writes share a transaction (group commit): with full synchronous writes that is
the biggest factor of all. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from reelhook.domain.errors import SettingsError, StoreError
from reelhook.storage.file_lock import FileLock
from reelhook.storage.operation import Operation, Row, Statement, Together, Touches

__all__ = ["FileLock", "SQLite", "connect", "read_key", "run"]

T = TypeVar("T")
GROUP_SIZE_MAX = 1000
READERS = 2
BUSY_MILLISECONDS = 5000


def connect(path: Path, *, read_only: bool) -> apsw.Connection:
    """Open the file with the settings every connection needs.

    Raises `SettingsError` when it is not a database that can be used.
    """
    flags = apsw.SQLITE_OPEN_NOMUTEX | (
        apsw.SQLITE_OPEN_READONLY
        if read_only
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    try:
        if not read_only:
            path.touch(mode=0o600)  # it holds keys; SQLite gives its side files the same mode
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.create_scalar_function("now_ms", _now_ms, 0)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
    except (apsw.Error, OSError) as error:
        raise SettingsError(f"The database {path} can't be opened: {error}") from None
    return connection


def _now_ms(*_: object) -> int:
    """What PostgreSQL has as a function of its own: the database's time."""
    return time.time_ns() // 1_000_000


def read_key(path: Path, name: str) -> str | None:
    """Return a key of our own from a database that may be in use; None if there is none."""
    if not path.exists():
        return None
    connection = connect(path, read_only=True)
    try:
        rows = connection.execute("SELECT value FROM keys WHERE name = ?1", (name,)).fetchall()
    except apsw.SQLError:
        return None  # no such table: an empty database
    except apsw.Error as error:
        raise SettingsError(f"The database {path} can't be read: {error}") from None
    finally:
        connection.close()
    return str(rows[0][0]) if rows else None


def run(connection: apsw.Connection, operation: Operation[T]) -> T:
    """Run one operation to its end on this connection."""
    rows: Any = None
    while True:
        try:
            asked = operation.send(rows)
        except StopIteration as stop:
            return cast("T", stop.value)
        if isinstance(asked, Together):
            rows = [_rows(connection, statement) for statement in asked.statements]
        else:
            rows = _rows(connection, asked)


def _rows(connection: apsw.Connection, statement: Statement) -> list[Row]:
    return connection.execute(statement.sql, statement.parameters).fetchall()


class _Work:
    """An operation on its way through the writer, and the future of its result."""

    __slots__ = ("error", "future", "make", "result")

    def __init__(self, make: Callable[[], Operation[Any]], future: "asyncio.Future[Any]") -> None:
        self.make = make
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class _SpoiltError(Exception):
    """One operation's failure undoes the transaction that others share with it."""


class SQLite:
    """One open database: `write` and `read` run operations."""

    def __init__(self, path: Path, *, group_size: int = GROUP_SIZE_MAX) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connect(path, read_only=False)
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_groups, name="reelhook-writer")
        self._thread.start()
        self._local = threading.local()
        self._path = path
        self._group_size = group_size
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reelhook-reader")
        self._closed = False

    async def write(self, make: Callable[[], Operation[T]], touches: Touches = None) -> T:
        """Run an operation in a transaction, which it may share with others; return once it is
        durable. Raises what the operation raises, or `StoreError`.
        """
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Work(make, future))
        return await future

    async def aside(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """See `Database.aside`: the one writer is alone with every table."""
        return await self.write(make)

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads, beside the writer."""
        self._check_open()
        return await self._loop.run_in_executor(self._readers, self._read, make)

    async def close(self) -> None:
        """Finish what was begun and close the file."""
        self._closed = True
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._readers.shutdown()
        self._connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The database is closed; the server is stopping")

    def _read(self, make: Callable[[], Operation[T]]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, read_only=True)
        try:
            connection.execute("BEGIN")  # one snapshot for all of the operation's statements
            try:
                return run(connection, make())
            finally:
                if connection.in_transaction:  # some errors end it by themselves
                    connection.execute("COMMIT")
        except apsw.Error as error:
            raise StoreError(f"The database can't be read: {error}") from error

    # -- the writer's thread ------------------------------------------------------------------

    def _write_groups(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, stop = [first], False
            while len(group) < self._group_size:
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
                if work is None:
                    stop = True
                    break
                group.append(work)
            self._commit(group)
            # The loop is gone only when the program was torn down without `close`.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_deliver, group)
            if stop:
                return

    def _commit(self, group: list[_Work]) -> None:
        try:
            try:
                self._commit_as_one(group)
            except _SpoiltError:
                self._connection.execute("ROLLBACK")
                self._commit_apart(group)
        except apsw.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for work in group:
                work.error = StoreError(f"The database can't be written: {error}")

    def _commit_as_one(self, group: list[_Work]) -> None:
        """Commit a group in which no operation fails half-way, as hardly any does.

        Raises `_SpoiltError` where one did: without savepoints it can't be undone alone. Those
        would cost each operation two fifths of its time.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        for work in group:
            changes = self._connection.total_changes()
            self._attempt(work)
            if work.error is None:
                continue
            # Some errors end the transaction by themselves: then nothing may go on as if in it.
            if self._connection.total_changes() != changes or not self._connection.in_transaction:
                raise _SpoiltError
        self._connection.execute("COMMIT")

    def _commit_apart(self, group: list[_Work]) -> None:
        """Commit a group in which a failing operation undoes itself alone."""
        self._connection.execute("BEGIN IMMEDIATE")
        for work in group:
            self._connection.execute("SAVEPOINT work")
            self._attempt(work)
            if work.error is not None:
                self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
        self._connection.execute("COMMIT")

    def _attempt(self, work: _Work) -> None:
        work.result, work.error = None, None
        try:
            work.result = run(self._connection, work.make())
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError):
            raise  # the disk, not the operation: the whole group fails
        except apsw.Error as error:
            work.error = StoreError(f"The database refused a write: {error}")
        except Exception as error:
            work.error = error


def _deliver(group: list[_Work]) -> None:
    for work in group:
        if work.future.done():  # its caller was canceled; the write stands all the same
            continue
        if work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)
