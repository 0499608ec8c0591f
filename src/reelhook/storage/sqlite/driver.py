"""The SQLite driver: one process owns the file, one thread writes it, other threads only read.

Concurrent small writes share a transaction (group commit). With fully synchronous writes, nothing
matters more for throughput. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from reelhook.domain.errors import SettingsError, StoreError
from reelhook.storage.operation import ConflictKeys, Operation
from reelhook.storage.operations.keys import known_key
from reelhook.storage.pending_write import PendingWrite
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.sqlite.group_commit import SQLiteGroups, run
from reelhook.storage.sqlite.refusals import reason, refusal

__all__ = ["FileLock", "SQLite", "connect", "read_key", "read_once", "run"]

T = TypeVar("T")
GROUP_SIZE_MAX = 1000
READERS = 2
BUSY_MILLISECONDS = 5000


def connect(path: Path, *, read_only: bool) -> apsw.Connection:
    """Open the file with the settings that every connection needs.

    Raises `SettingsError` if it is not a usable database.
    """
    flags = apsw.SQLITE_OPEN_NOMUTEX | (
        apsw.SQLITE_OPEN_READONLY
        if read_only
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    try:
        if not read_only:
            path.touch(mode=0o600)  # it has keys; SQLite gives its side files the same mode
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
        raise refusal(path, error) from None
    return connection


def _now_ms(*_: object) -> int:
    """Return the database's time. On PostgreSQL a stored function has this name."""
    return time.time_ns() // 1_000_000


def read_once(path: Path, make: Callable[[], Operation[T | None]]) -> T | None:
    """Run a read on a file that may be in use. Return None if it has no such table yet."""
    if not path.exists():
        return None
    connection = connect(path, read_only=True)
    try:
        return run(connection, make())
    except apsw.SQLError:
        return None  # no such table: an empty database
    except apsw.Error as error:
        raise refusal(path, error, "read") from None
    finally:
        connection.close()


def read_key(path: Path, name: str) -> str | None:
    """Return one of our keys from a file that may be in use; None if there is none."""
    return read_once(path, partial(known_key, name))


class SQLite(SQLiteGroups):
    """One open database: `write` and `read` run operations."""

    def __init__(
        self,
        path: Path,
        connection: apsw.Connection | None = None,
        *,
        group_size: int = GROUP_SIZE_MAX,
        committed: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(lambda: connect(path, read_only=False), connection, committed)
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[PendingWrite | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_groups, name="reelhook-writer")
        self._thread.start()
        self._local = threading.local()
        self._path = path
        self._group_size = group_size
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reelhook-reader")
        self._closed = False

    async def write(
        self, make: Callable[[], Operation[T]], conflict_keys: ConflictKeys = None
    ) -> T:
        """Run an operation in a transaction that it may share; see `Database.write`."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(PendingWrite(make, future))
        return await future

    async def background(self, make: Callable[[], Operation[T]], *, lock: str | None = None) -> T:
        """See `Database.background`. The only writer needs no lock on a table."""
        return await self.write(make)

    async def read(self, make: Callable[[], Operation[T]]) -> T:
        """Run a read-only operation, concurrently with the writer."""
        self._check_open()
        return await self._loop.run_in_executor(self._readers, self._read, make)

    async def close(self) -> None:
        """Finish pending writes and close the file."""
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
            try:
                connection = self._local.connection = connect(self._path, read_only=True)
            except SettingsError as error:  # such as too many open files
                raise StoreError(error.message) from error
        try:
            connection.execute("BEGIN")  # one snapshot for all statements of the operation
            try:
                return run(connection, make())
            finally:
                if connection.in_transaction:  # some errors end the transaction
                    connection.execute("COMMIT")
        except apsw.Error as error:
            raise StoreError(f"The database can't be read: {reason(error)}") from error

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
            # The loop is closed only if the program ended without `close`.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_deliver, group)
            if stop:
                return


def _deliver(group: list[PendingWrite]) -> None:
    for work in group:
        work.deliver()
