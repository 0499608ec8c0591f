"""Encrypts the secrets in a database with the newest key."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.ports import SecretsStore
from reelhook.storage.error_text import no_database
from reelhook.storage.open import exclusive, open_store
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.store import Store
from reelhook.telemetry.lines import defer_to_host


@contextlib.asynccontextmanager
async def open_secrets(settings: Settings) -> AsyncIterator[SecretsStore | None]:
    """Open the settings' database to encrypt its secrets.

    Yield None if a running server owns the file: only the server can do it then. Processes on
    PostgreSQL go on meanwhile. Raises `SettingsError`.
    """
    defer_to_host()  # stdout is the command's
    target = settings.database
    if isinstance(target, Path) and not await asyncio.to_thread(target.exists):
        raise no_database(target)
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(target, Path):
            try:
                await stack.enter_async_context(exclusive(target))
            except SettingsError as error:
                if error.problem != "database_owned":
                    raise
                yield None
                return
        if missing := await asyncio.to_thread(migrations.pending, target):
            raise SettingsError(
                f"The database lacks the revisions {', '.join(missing)}; run "
                "`reelhook migrate --all` first"
            )
        pooled = not settings.wake_ups
        database = await stack.enter_async_context(open_store(target, pooled=pooled))
        store = Store(database, settings.keyring)
        await store.check_encryption_keys()
        yield store
