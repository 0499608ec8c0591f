"""Storing: puts a whole file from the spool into the archive, and verifies it there."""

import asyncio
from dataclasses import dataclass
from functools import partial

from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.file_name import content_disposition
from reelhook.engine.archive.media_type import media_type, object_key
from reelhook.engine.archive.partial_file import WholeFile
from reelhook.engine.archive.shared import SharedArchive
from reelhook.ports import Objects

PUT_SECONDS = 30.0
PUT_BYTES_PER_SECOND = 128 * 1024
"""A put may take the first time, and longer by this rate for its size."""
SIZE_SECONDS = 30.0
CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TargetObject:
    """The object that a file becomes in the archive."""

    key: str
    content_type: str


async def target_of(shared: SharedArchive, job_id: str, file: WholeFile) -> TargetObject:
    """Return the object for a job's file, by the type that its first bytes show."""
    content_type = await shared.spool.run(partial(media_type, file.path, file.content_type))
    return TargetObject(object_key(job_id, content_type), content_type)


async def responds(objects: Objects) -> None:
    """Check a store that has failed by a small object: a file's own deadline is much longer.

    Raises `ObjectStoreError`.
    """
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await objects.check()
    except TimeoutError:
        raise ObjectStoreError(objects.name, "it did not respond in time") from None


async def put_verified(
    shared: SharedArchive, target: TargetObject, job_id: str, title: str, file: WholeFile
) -> None:
    """Put a file into the archive; a bucket names it by its job's title.

    Raises `ObjectStoreError` unless it is whole there.

    A folder is read again and compared by hash. A bucket checks each part by the hash that the
    request is signed with, so there the size says whether a part was lost.
    """
    objects, spool, key = shared.objects, shared.spool, target.key
    name = content_disposition(title, job_id, target.content_type, attachment=False)
    seconds = PUT_SECONDS + file.size / PUT_BYTES_PER_SECOND
    try:
        async with asyncio.timeout(seconds):
            await objects.put(key, file.path, target.content_type, disposition=name)
        async with asyncio.timeout(SIZE_SECONDS):
            size = await objects.size(key)
    except TimeoutError:
        raise ObjectStoreError(objects.name, "it did not respond in time") from None
    if size != file.size:
        raise ObjectStoreError(
            objects.name, f"it kept {size or 0} of the {file.size} bytes of {key}"
        )
    path = objects.local_path(key)
    if path is not None and await spool.sha256_of(path) != file.sha256:
        raise ObjectStoreError(objects.name, f"it kept other bytes of {key} than it was given")
