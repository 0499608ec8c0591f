"""Gives an object of the archive as a file of this machine."""

import os
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from reelhook.core.offload import open_on_disk, run_on_disk
from reelhook.engine.archive.disks import check_room
from reelhook.ports import Objects

LEFT_SECONDS = 3600.0
"""A copy that nothing has written to for so long was left behind by a crash."""
_PREFIX, _SUFFIX = "copy-", ".tmp"


@asynccontextmanager
async def local_copy(objects: Objects, key: str, folder: Path) -> AsyncIterator[Path]:
    """Give the object's own file, or a copy in the folder that is removed with the block.

    Raises `ObjectMissingError`, `ObjectStoreError`, or `OSError` if the folder can't be used, or
    has no room for a copy.
    """
    own = objects.local_path(key)
    if own is not None:
        yield own
        return
    async with temporary_file(folder) as path:
        async with objects.open(key) as found:
            await run_on_disk(partial(check_room, folder, found.size))
            await write_all(path, found.chunks)
        yield path


@asynccontextmanager
async def temporary_file(folder: Path) -> AsyncIterator[Path]:
    """Give an empty file in the folder, which is removed with the block. Raises `OSError`."""
    path = await open_on_disk(partial(_created, folder), _remove)
    try:
        yield path
    finally:
        await run_on_disk(partial(_remove, path))


async def write_all(path: Path, chunks: AsyncIterable[bytes]) -> int:
    """Write chunks to an empty file as they come, and return their size. Raises `OSError`."""
    size = 0
    descriptor = await open_on_disk(partial(os.open, path, os.O_WRONLY), os.close)
    try:
        async for chunk in chunks:
            await run_on_disk(partial(_write, descriptor, chunk))
            size += len(chunk)
    finally:
        await run_on_disk(partial(os.close, descriptor))
    return size


def _created(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    oldest = time.time() - LEFT_SECONDS
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            if left.stat().st_mtime < oldest:
                left.unlink()
        except FileNotFoundError:  # its process has just removed it
            continue
    descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)
    os.close(descriptor)
    return Path(name)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
