"""Reads what the database knows of archived files. A server may be using it."""

from collections.abc import AsyncIterator, Callable
from hashlib import sha256

from reelhook.config import Settings
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.errors import ProjectNotFoundError, SettingsError
from reelhook.objects.store import ObstoreObjects
from reelhook.ports import Objects, StoredJob
from reelhook.storage import owned
from reelhook.storage.operations import archive
from reelhook.storage.operations.projects import project as project_of

PAGE = 200
Advance = Callable[[int, int], None]
"""Reports the bytes that were done, and those of all files."""


async def listed(
    settings: Settings, project: str | None = None, state: FileState | None = FileState.STORED
) -> AsyncIterator[ArchivedFile]:
    """Yield files in the order of their jobs' ids.

    Raises `SettingsError` if the database can't be read, or `ProjectNotFoundError`.
    """
    project_id, after = await project_id_of(settings, project), ""
    while True:
        page: list[ArchivedFile] = await owned.read(
            settings.database, archive.page(after, PAGE, project_id, state)
        )
        for file in page:
            yield file
        if len(page) < PAGE:
            return
        after = page[-1].job_id


async def with_jobs(
    settings: Settings, project_id: str | None
) -> AsyncIterator[tuple[ArchivedFile, StoredJob]]:
    """Yield stored files with their jobs, in the order of the jobs' ids."""
    after = ""
    while True:
        page: list[tuple[ArchivedFile, StoredJob]] = await owned.read(
            settings.database, archive.page_with_jobs(after, PAGE, project_id)
        )
        for pair in page:
            yield pair
        if not page:
            return
        after = page[-1][0].job_id


async def bytes_of_all(settings: Settings, project_id: str | None = None) -> int:
    """Return the bytes of all stored files."""
    _, size = await owned.read(settings.database, archive.totals(project_id))
    return int(size)


async def project_id_of(settings: Settings, id_or_name: str | None) -> str | None:
    """Return the id of a project; None for None. Raises `ProjectNotFoundError`."""
    if id_or_name is None:
        return None
    found = await owned.read(settings.database, project_of(id_or_name))
    if found is None:
        raise ProjectNotFoundError(id_or_name)
    return str(found.id)


def objects_of(settings: Settings) -> Objects:
    """Open the archive without a check. Raises `SettingsError`."""
    if settings.archive is None:
        raise SettingsError(
            "There is no archive: set REELHOOK_ARCHIVE_URL to the place where the server keeps "
            "finished videos"
        )
    try:
        return ObstoreObjects(settings.archive)
    except ObjectStoreError as error:
        raise SettingsError(f"REELHOOK_ARCHIVE_URL: {error.message}") from None


async def hash_of(objects: Objects, key: str, read: Callable[[bytes], object]) -> str:
    """Return the SHA-256 of an object, and pass on its bytes. Raises `ObjectStoreError`."""
    digest = sha256()
    async with objects.open(key) as found:
        async for chunk in found.chunks:
            digest.update(chunk)
            read(chunk)
    return digest.hexdigest()
