"""The check of the archive: a small object is written, read and deleted, as at a start."""

import asyncio
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reelhook.bootstrap.archive import OFF, SETTING, checked, needs_choice, refusal
from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.objects.store import ObstoreObjects

_SUBJECT = "archive"


async def archive(settings: Settings) -> Finding:
    """Check that finished videos can be kept."""
    url = settings.archive
    if url is None:
        if needs_choice(settings):
            return warning(_SUBJECT, f"is off: {OFF}")
        return ok(_SUBJECT, f"is off, as {SETTING} says")
    parts = urlsplit(url)
    folder = Path(unquote(parts.path))
    if parts.scheme == "file" and not await asyncio.to_thread(folder.exists):
        if await asyncio.to_thread(_can_be_made, folder):
            return ok(_SUBJECT, f"{url} does not exist yet; the first start creates it")
        return failed(
            _SUBJECT,
            f"{url} can't be created; correct {SETTING}, or let reelhook write in the folder above",
        )
    try:
        await checked(ObstoreObjects(url))
    except ObjectStoreError as error:
        if error.refused:
            return failed(_SUBJECT, refusal(error))
        return failed(_SUBJECT, f"{error.message}; start the store, or correct {SETTING}")
    return ok(_SUBJECT, f"{url} can be written, read and deleted in")


def _can_be_made(folder: Path) -> bool:
    above = next(parent for parent in folder.parents if parent.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)
