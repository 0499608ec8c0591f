"""Backs up an installation, and marks a restored database as such."""

import asyncio
from pathlib import Path

from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.storage.open import exclusive, open_store
from reelhook.storage.operations import history
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.transfer import backup
from reelhook.storage.transfer.backup import BackedUp
from reelhook.telemetry.lines import defer_to_host


async def back_up(settings: Settings, target: Path) -> BackedUp:
    """Copy the settings' SQLite database, which may be in use, into a new file.

    Raises `SettingsError`; on PostgreSQL its message names the command to use there.
    """
    source = settings.database
    if not isinstance(source, Path):
        raise SettingsError(
            "`reelhook backup` copies SQLite databases only; back up PostgreSQL with: "
            f'pg_dump --format=custom --file={target} "$DATABASE_URL"'
        )
    return await asyncio.to_thread(backup.back_up, source, target)


async def restored(settings: Settings) -> None:
    """Mark the database as restored to an earlier state. Raises `SettingsError`."""
    defer_to_host()  # stdout is the command's
    target = settings.database
    if isinstance(target, Path) and not await asyncio.to_thread(target.exists):
        raise SettingsError(f"There is no database {target}; give its directory with --data-dir")
    async with exclusive(target):
        if missing := migrations.pending(target):
            raise SettingsError(
                f"The database lacks the revisions {', '.join(missing)}; run "
                "`reelhook migrate --all` first"
            )
    async with open_store(target, pooled=not settings.wake_ups) as database:
        await database.write(history.restored)
