"""Gives an object of the archive as a file of this machine."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reelhook.ports import Objects

LEFT_SECONDS = 3600.0
"""A copy that nothing has written to for so long was left behind by a crash."""
_PREFIX, _SUFFIX = "copy-", ".tmp"


@asynccontextmanager
async def local_copy(objects: Objects, key: str, folder: Path) -> AsyncIterator[Path]:
    """Give the object's own file, or a copy in the folder that is removed with the block.

    Raises `ObjectMissingError`, `ObjectStoreError`, or `OSError` if the folder can't be used.
    """
    own = objects.local_path(key)
    if own is not None:
        yield own
        return
    descriptor, path = await asyncio.to_thread(_created, folder)
    try:
        try:
            async with objects.open(key) as found:
                async for chunk in found.chunks:
                    await asyncio.to_thread(_write, descriptor, chunk)
        finally:
            os.close(descriptor)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _created(folder: Path) -> tuple[int, Path]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    oldest = time.time() - LEFT_SECONDS
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            if left.stat().st_mtime < oldest:
                left.unlink()
        except FileNotFoundError:  # its process has just removed it
            continue
    descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)
    return descriptor, Path(name)


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
