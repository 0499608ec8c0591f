"""Removes what the archive's limits no longer allow, now instead of within an hour."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from reelhook.bootstrap.archived.reading import objects_of
from reelhook.bootstrap.database import open_database
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.domain.event import Instant
from reelhook.domain.keeping import ExcessFile
from reelhook.storage import owned
from reelhook.storage.operations import removal
from reelhook.storage.store import Store
from reelhook.telemetry.lines import defer_to_host

ALL = 2**31 - 1
BATCH = 100
OWNED = "database_owned"
"""The problem of a SQLite file that another process uses."""


class DatabaseOwnedError(Exception):
    """A server owns the SQLite file: it has to do the work."""


async def prune(
    settings: Settings, now: Instant, removed: Callable[[ExcessFile], None], *, dry_run: bool
) -> None:
    """Remove the files that the limits say, with their objects; `removed` is called for each.

    With `dry_run` nothing is removed, and a server may be using the database. Raises
    `DatabaseOwnedError` if a server owns the SQLite file, `SettingsError` or `ObjectStoreError`.
    """
    if dry_run:
        limits = settings.archive_limits
        for file in await owned.read(settings.database, removal.excess(limits, now, ALL)):
            removed(file)
        return
    defer_to_host()  # stdout is the command's
    objects = objects_of(settings)
    async with _opened(settings) as store:
        while files := await store.excess_files(settings.archive_limits, now, BATCH):
            await store.remove_archived(files, now)
            for file in files:
                removed(file)
        while keys := await store.objects_to_delete(now, BATCH):
            await objects.delete(keys)
            await store.record_deleted(keys)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        try:
            opened = open_database(settings, migrate=False)
            database = await stack.enter_async_context(opened)
        except SettingsError as error:
            if error.problem != OWNED:
                raise
            raise DatabaseOwnedError from None
        yield database.store
