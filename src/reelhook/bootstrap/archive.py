"""Opens the place where finished videos are kept, and checks it at the start."""

import asyncio
from pathlib import Path

import structlog

from reelhook.config import Settings
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.errors import SettingsError
from reelhook.objects.store import ObstoreObjects
from reelhook.ports import Objects

log = structlog.get_logger()
CHECK_SECONDS_MAX = 15.0
START_SECONDS_MAX = 5.0
"""A store that hangs delays the watching of jobs by so long at a start."""
SETTING = "REELHOOK_ARCHIVE_URL"
OFF = (
    "finished videos are not kept, and are lost once their providers delete them; set "
    f"{SETTING} to a place that every worker reaches, such as s3://bucket/prefix, or to off"
)


async def open_objects(settings: Settings) -> Objects | None:
    """Open the archive and check it; None: there is none.

    Raises `SettingsError` if the place refuses, or if its folder can't be made. A place that
    can't be reached only gives a warning: the archive begins once it responds.
    """
    if settings.archive is None:
        if needs_choice(settings):
            log.warning(f"The archive is off: {OFF}")
        return None
    try:
        objects = ObstoreObjects(settings.archive)
    except ObjectStoreError as error:
        raise SettingsError(f"{SETTING}: {unopened(error)}") from None
    try:
        await checked(objects, START_SECONDS_MAX)
    except ObjectStoreError as error:
        if error.refused:
            raise SettingsError(f"{SETTING}: {refusal(error)}") from None
        log.warning(
            "The archive can't be reached; finished videos are fetched, and stored once it "
            "responds",
            reason=error.message,
        )
    return objects


def needs_choice(settings: Settings) -> bool:
    """Return True if the operator has to choose a place: workers may run on several machines."""
    return settings.archive_url is None and not isinstance(settings.database, Path)


async def checked(objects: Objects, seconds: float = CHECK_SECONDS_MAX) -> None:
    """Write, read and delete a small object. Raises `ObjectStoreError`."""
    try:
        async with asyncio.timeout(seconds):
            await objects.check()
    except TimeoutError:
        raise ObjectStoreError(objects.name, f"it did not respond within {seconds:g} s") from None


def refusal(error: ObjectStoreError) -> str:
    """Return the sentence about a place that lacks a permission."""
    permission = error.step or "write"
    return (
        f"the place refuses to {permission} ({error.message}); allow reelhook to write, read and "
        "delete there, correct the setting or the store's credentials, or set it to off"
    )


def unopened(error: ObjectStoreError) -> str:
    """Return the sentence about a place that can't be opened, such as a folder below a file."""
    return (
        f"{error.message}; name a folder that reelhook may create and write in, or a bucket, "
        "or set it to off"
    )
