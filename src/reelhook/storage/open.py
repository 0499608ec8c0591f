"""Opens a database of either kind: a SQLite file by its path, PostgreSQL by its URL."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reelhook.storage.operation import Database, Operation, Target
from reelhook.storage.operations.history import log_past
from reelhook.storage.operations.keys import known_key
from reelhook.storage.sqlite import driver as sqlite
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.sqlite.interruptible import interruptible
from reelhook.storage.sqlite.witness import Witness

if TYPE_CHECKING:
    from types import ModuleType

    from reelhook.storage.postgres.notifier import Notifier, PollingNotifier

T = TypeVar("T")


def _postgres() -> "ModuleType":
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database

    return postgres


async def wait_until_usable(url: str, *, pooled: bool, seconds: float) -> None:
    """Wait for a PostgreSQL database; see `postgres.awaiting`."""
    from reelhook.storage.postgres.awaiting import wait_until_usable as wait  # noqa: PLC0415 - loaded only if it is the database

    await wait(url, pooled=pooled, seconds=seconds)


@contextlib.asynccontextmanager
async def exclusive(target: Target) -> AsyncIterator[None]:
    """Be the only process that may change the schema.

    On PostgreSQL this waits for other processes. A SQLite file is owned for as long as it is used,
    so this raises `SettingsError` if another process owns it.
    """
    if isinstance(target, Path):
        with FileLock(target):
            yield
    else:
        async with _postgres().SchemaLock(target):
            yield


@contextlib.asynccontextmanager
async def open_store(target: Target, *, pooled: bool = False) -> AsyncIterator[Database]:
    """Open a database that has its schema. Raises `SettingsError`.

    `pooled`: a pooler may send statements of one session over different connections.
    """
    if isinstance(target, Path):
        async with _opened_file(target) as database:
            yield database
        return
    database = await _postgres().PostgreSQL.open(target, pooled=pooled)
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _opened_file(path: Path) -> AsyncIterator[Database]:
    # Waiting for another program's lock on the file must not block the event loop.
    connection = await interruptible(lambda _: sqlite.connect(path, read_only=False))
    with Witness(path) as witness:
        database = SQLite(path, connection, committed=witness.note)
        try:
            log_past(await witness.testify(database))
            yield database
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def open_notifier(
    url: str, *, pooled: bool = False
) -> "AsyncIterator[Notifier | PollingNotifier]":
    """Open the exchange of messages with other processes; a pooler in transaction mode has none."""
    from reelhook.storage.postgres.notifier import (  # noqa: PLC0415 - loaded only if it is the database
        Notifier,
        PollingNotifier,
    )

    notifier: Notifier | PollingNotifier = PollingNotifier() if pooled else Notifier(url)
    try:
        yield notifier
    finally:
        await notifier.close()


async def read_once(target: Target, make: Callable[[], Operation[T | None]]) -> T | None:
    """Run a read on a database that may be in use. Return None if it has no such table yet.

    Raises `SettingsError`.
    """
    if isinstance(target, Path):
        return sqlite.read_once(target, make)
    found: T | None = await _postgres().read_once(target, make)
    return found


async def read_key(target: Target, name: str) -> str | None:
    """Return one of our keys from a database that may be in use; None if there is none."""
    return await read_once(target, partial(known_key, name))
