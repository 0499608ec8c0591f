"""A file in the spool: a download in progress, and the facts that let it be resumed.

Its methods read and write the disk, so they run in a thread.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SYNC_BYTES = 8 * 1024 * 1024
"""A crash of the machine, or a kill, loses at most so much of a download."""
READ_BYTES = 1024 * 1024


class SpoolBusyError(Exception):
    """Another process, or another task, has the file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The facts by which a later response is recognized as the same file; None: not given.

    `total` is its size in bytes.
    """

    total: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A complete file in the spool."""

    path: Path
    size: int
    sha256: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class _Notes:
    """The facts next to a partial file. `synced` bytes of it are durable, or it is whole.

    `sha256` is set once it is whole. `seen` is the hash that `seen_times` earlier, separate
    downloads in a row had.
    """

    origin: Origin = Origin()
    synced: int = 0
    sha256: str | None = None
    seen: str | None = None
    seen_times: int = 0


class PartialFile:
    """A locked file in the spool, and its notes. Raises `SpoolBusyError` if it is locked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._notes_path = path.with_suffix(".json")
        self._fd = _locked(path)
        self._hash = hashlib.sha256()
        self._notes = self._read_notes()
        self._unsynced = 0
        self.size = 0

    @property
    def origin(self) -> Origin:
        """The facts about the file at its source."""
        return self._notes.origin

    def whole(self) -> WholeFile | None:
        """Return the file if an earlier run has completed it."""
        size, sha256 = self._notes.synced, self._notes.sha256
        if sha256 is None or os.fstat(self._fd).st_size != size:
            return None
        if size < SYNC_BYTES:  # it may not have been durable when the machine crashed
            self._read(size)
            if self._hash.hexdigest() != sha256:
                return None
        return WholeFile(self.path, size, sha256, self.origin.content_type)

    def resume(self) -> int:
        """Read what an earlier run made durable. Return its size: the download goes on there."""
        durable = min(self._notes.synced, os.fstat(self._fd).st_size)
        refused = self._notes.sha256 is not None  # it is not what was noted; see `whole`
        if self.origin.total is None or durable > self.origin.total or refused:
            durable = 0
        os.ftruncate(self._fd, durable)
        self.size = self._read(durable)
        return self.size

    def _read(self, size: int) -> int:
        """Hash so many bytes from the beginning on; return how many there are."""
        self._hash = hashlib.sha256()
        os.lseek(self._fd, 0, os.SEEK_SET)
        left = size
        while left and (read := os.read(self._fd, min(READ_BYTES, left))):
            self._hash.update(read)
            left -= len(read)
        return size - left

    def begin(self, origin: Origin) -> None:
        """Start from the beginning, with a file of this origin."""
        self._notes_path.unlink(missing_ok=True)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self._notes = _Notes(origin, seen=self._notes.seen, seen_times=self._notes.seen_times)
        self._unsynced = self.size = 0

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append bytes, and make them durable now and then."""
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._hash.update(chunk)
            self.size += len(chunk)
            self._unsynced += len(chunk)
        if self._unsynced >= SYNC_BYTES:
            self.keep()

    def keep(self) -> None:
        """Make durable what was written, and note it."""
        os.fdatasync(self._fd)
        self._unsynced = 0
        self._write_notes(replace(self._notes, synced=self.size))

    def keep_whole(self) -> None:
        """Make a complete file durable, so that it need not be fetched again."""
        os.fdatasync(self._fd)

    def finish(self) -> WholeFile:
        """Return the file, which is complete, and note that. A large one is made durable."""
        if self.size >= SYNC_BYTES:
            os.fdatasync(self._fd)
        sha256 = self._hash.hexdigest()
        self._write_notes(replace(self._notes, synced=self.size, sha256=sha256))
        return WholeFile(self.path, self.size, sha256, self.origin.content_type)

    def seen_before(self, times: int) -> bool:
        """Return True if so many earlier downloads had the same bytes; remember this one."""
        digest = self._hash.hexdigest()
        seen = self._notes.seen_times if self._notes.seen == digest else 0
        if seen >= times:
            return True
        self._write_notes(_Notes(seen=digest, seen_times=seen + 1))
        return False

    def remove(self) -> None:
        """Remove the file and its notes."""
        self._notes_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock the file."""
        os.close(self._fd)

    def _read_notes(self) -> _Notes:
        try:
            fields = json.loads(self._notes_path.read_bytes())
            origin = Origin(**fields.pop("origin"))
            synced = int(fields.pop("synced"))
            return _Notes(origin=origin, synced=synced, **fields)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return _Notes()  # torn by a crash, or of another version: the download starts over

    def _write_notes(self, notes: _Notes) -> None:
        self._notes = notes
        draft = self._notes_path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(notes)))
        draft.replace(self._notes_path)


def _locked(path: Path) -> int:
    """Return a descriptor of the file that is at this path and locked by us."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        except BlockingIOError:
            os.close(fd)
            raise SpoolBusyError from None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its holder removed it before we had the lock
