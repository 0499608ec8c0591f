"""Moves an installation to another database."""

from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.storage.transfer import copying
from reelhook.storage.transfer.copying import Copied, ReportProgress


async def copy(settings: Settings, to: str, report: ReportProgress) -> Copied:
    """Copy the settings' database to an empty one, and close the source for use.

    Raises `SettingsError`, and `CopyError` if the copy failed: the source then stays in use.
    """
    try:
        target = Settings.of(database_url=to).database
    except SettingsError:
        raise SettingsError(
            "--to must be postgresql://user:password@host/database or sqlite:///path/to/reelhook.db"
        ) from None
    return await copying.copy(settings.database, target, report)


async def reopen(settings: Settings) -> None:
    """Reopen the settings' database for use after it was copied. Raises `SettingsError`."""
    await copying.reopen(settings.database)
