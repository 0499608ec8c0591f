"""Verifies the archive: its objects against what the database knows of them.

A server may be running: what it stores, removes or uploads meanwhile is no finding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reelhook.bootstrap.archived.reading import (
    Advance,
    bytes_of_all,
    hash_of,
    listed,
    objects_of,
)
from reelhook.config import Settings
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.archive_errors import ObjectMissingError
from reelhook.domain.event import Instant
from reelhook.ports import ObjectInfo, Objects
from reelhook.storage import owned
from reelhook.storage.operations import archive, removal

PREFIXES = ("videos/", "posters/")
UPLOAD_MILLISECONDS = 3600 * 1000
"""An object that nothing names may be an upload in flight until it is so old."""


class ObjectFault(StrEnum):
    """The fault of an object."""

    MISSING = "missing"
    DAMAGED = "damaged"
    ORPHAN = "orphan"


_REMEDIES = {
    ObjectFault.MISSING: (
        "put the object back from a backup of the archive; without one the video is lost"
    ),
    ObjectFault.DAMAGED: (
        "put the object back from a backup of the archive; its hash must be the expected one"
    ),
    ObjectFault.ORPHAN: (
        "delete it with the store's own tools, unless another installation uses this place"
    ),
}


@dataclass(frozen=True, slots=True)
class ObjectFinding:
    """An object that is not as it should be.

    `job_id` is None for an orphan. The hashes are those of a video; posters have none. A hash that
    is not known is None.
    """

    fault: ObjectFault
    key: str
    job_id: str | None = None
    detail: str = ""
    expected: str | None = None
    found: str | None = None

    @property
    def remedy(self) -> str:
        """Return the sentence that says what to do."""
        return _REMEDIES[self.fault]


@dataclass(frozen=True, slots=True)
class Verified:
    """The numbers of the files and bytes that were compared, and all findings."""

    files: int
    size: int
    findings: tuple[ObjectFinding, ...]


async def verify(
    settings: Settings, now: Instant, advance: Advance, *, with_hashes: bool = True
) -> Verified:
    """Compare all objects with the database. Nothing is changed.

    Without `with_hashes` only sizes are compared. Raises `SettingsError` or `ObjectStoreError`.
    """
    objects = objects_of(settings)
    unnamed = await _objects(objects)  # first: what is stored afterwards is not missing
    total, done, files = await bytes_of_all(settings), 0, 0
    findings: list[ObjectFinding] = []
    advance(done, total)

    def read(chunk: bytes) -> None:
        nonlocal done
        done += len(chunk)
        advance(done, total)

    async for file in listed(settings):
        files += 1
        for key in (file.key, file.poster_key):
            unnamed.pop(key or "", None)
        before = done
        found = await _faults(objects, file, read, with_hashes=with_hashes)
        if found and await _is_stored(settings, file):
            findings += found
        done = before + (file.size or 0)
        advance(done, total)
    findings += [
        ObjectFinding(ObjectFault.ORPHAN, one.key, detail=f"{one.size} bytes that no job names")
        for one in unnamed.values()
        if now - one.modified_at >= UPLOAD_MILLISECONDS and await _is_orphan(settings, one.key)
    ]
    return Verified(files, done, tuple(findings))


async def _objects(objects: Objects) -> dict[str, ObjectInfo]:
    return {one.key: one for prefix in PREFIXES async for one in objects.list(prefix)}


async def _faults(
    objects: Objects, file: ArchivedFile, read: Callable[[bytes], None], *, with_hashes: bool
) -> list[ObjectFinding]:
    found = [await _video(objects, file, read, with_hashes=with_hashes)]
    if file.poster_key is not None:
        size = await objects.size(file.poster_key)
        found.append(_of_size(file.poster_key, file, file.poster_size, size))
    return [one for one in found if one is not None]


async def _video(
    objects: Objects, file: ArchivedFile, read: Callable[[bytes], None], *, with_hashes: bool
) -> ObjectFinding | None:
    key = file.key or ""
    size = await objects.size(key)
    fault = _of_size(key, file, file.size, size, file.sha256)
    if fault is not None or not with_hashes:
        return fault
    try:
        found = await hash_of(objects, key, read)
    except ObjectMissingError:
        return ObjectFinding(
            ObjectFault.MISSING, key, file.job_id, "there is no such object", file.sha256
        )
    if found == file.sha256:
        return None
    return ObjectFinding(
        ObjectFault.DAMAGED, key, file.job_id, "its bytes have changed", file.sha256, found
    )


def _of_size(
    key: str,
    file: ArchivedFile,
    expected: int | None,
    size: int | None,
    sha256: str | None = None,
) -> ObjectFinding | None:
    if size is None:
        return ObjectFinding(
            ObjectFault.MISSING, key, file.job_id, "there is no such object", sha256
        )
    if size != expected:
        detail = f"it has {size} bytes in place of {expected}"
        return ObjectFinding(ObjectFault.DAMAGED, key, file.job_id, detail, sha256)
    return None


async def _is_stored(settings: Settings, file: ArchivedFile) -> bool:
    """Return True if the file was not removed meanwhile."""
    now = await owned.read(settings.database, archive.one(file.job_id))
    return now is not None and now.state is FileState.STORED


async def _is_orphan(settings: Settings, key: str) -> bool:
    """Return True if no file names the object now, and it does not wait to be deleted."""
    job_id = key.rpartition("/")[2].rpartition(".")[0]
    file = await owned.read(settings.database, archive.one(job_id))
    if file is not None and key in {file.key, file.poster_key}:
        return False
    return not await owned.read(settings.database, removal.is_queued(key))
