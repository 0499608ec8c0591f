"""Opening a database, whichever kind it is: a SQLite file by its path, PostgreSQL by its URL."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from reelhook.storage.operation import Database
from reelhook.storage.sqlite import FileLock, SQLite
from reelhook.storage.sqlite import read_key as read_key_of_file

if TYPE_CHECKING:
    from types import ModuleType

Target = Path | str


def _postgres() -> "ModuleType":
    from reelhook.storage import postgres  # noqa: PLC0415 - loaded where it is the database

    return postgres


@contextlib.asynccontextmanager
async def owning(target: Target) -> AsyncIterator[None]:
    """Be the one process that owns a database. Raises `SettingsError` when another one is."""
    if isinstance(target, Path):
        with FileLock(target):
            yield
    else:
        async with _postgres().OwnerLock(target):
            yield


@contextlib.asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Database]:
    """Open a database that has its schema. Raises `SettingsError`."""
    database: Database
    if isinstance(target, Path):
        database = SQLite(target)
    else:
        database = await _postgres().PostgreSQL.open(target)
    try:
        yield database
    finally:
        await database.close()


async def read_key(target: Target, name: str) -> str | None:
    """Return a key of our own from a database that may be in use; None if there is none."""
    if isinstance(target, Path):
        return read_key_of_file(target, name)
    key: str | None = await _postgres().read_key(target, name)
    return key
