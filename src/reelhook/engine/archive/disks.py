"""The free space that the archive leaves on its disks, so that it never fills the database's."""

import errno
from pathlib import Path

from reelhook.engine.archive.spool import Spool, disk_usage
from reelhook.ports import Objects

FREE_BYTES_MIN = 2 * 1024**3
FREE_SHARE_MIN = 0.05
"""Nothing is fetched while less than this is free, in bytes or as a share of the disk."""
_GIB = 1024**3


def check_room(folder: Path, more: int) -> None:
    """Raise `OSError` unless `more` bytes fit on a folder's disk."""
    shortage = _shortage(folder, disk_usage(folder), more)
    if shortage is not None:
        raise OSError(errno.ENOSPC, shortage)


class Disks:
    """The disk of the spool and, if the archive is a folder, that of the archive."""

    def __init__(self, spool: Spool, objects: Objects) -> None:
        self._spool = spool
        self._objects = objects

    async def shortage(self, more: int = 0) -> str | None:
        """Return why `more` bytes do not fit; None if they do."""
        try:
            space = await self._spool.space()
        except OSError as error:
            return f"{self._spool.folder} can't be used: {error.strerror or error}"
        return _shortage(self._spool.folder, space, more) or await self.archive_shortage(more)

    async def archive_shortage(self, more: int = 0) -> str | None:
        """Return why `more` bytes do not fit into the archive; None if they do."""
        try:
            space = await self._spool.run(self._objects.free_bytes)
        except OSError as error:
            return f"{self._objects.name} can't be used: {error.strerror or error}"
        return None if space is None else _shortage(self._objects.name, space, more)


def _shortage(place: Path | str, space: tuple[int, int], more: int) -> str | None:
    free, total = space
    needed = max(FREE_BYTES_MIN, round(total * FREE_SHARE_MIN))
    if free - more >= needed:
        return None
    wanted = f", and the next file needs {more / _GIB:.1f} GiB" if more else ""
    return (
        f"{free / _GIB:.1f} GiB are free on the disk of {place}{wanted}; "
        f"{needed / _GIB:.1f} GiB must stay free"
    )
