"""Port to the place where files are kept: a folder, or a bucket."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a listing. `size` is in bytes."""

    key: str
    size: int
    modified_at: Instant


@dataclass(frozen=True, slots=True)
class ObjectBytes:
    """An open object: its whole size, and the bytes of the range that was asked for."""

    size: int
    chunks: AsyncIterator[bytes]


class Objects(Protocol):
    """Keeps objects by keys, such as `videos/job_1.mp4`.

    Every method raises `ObjectStoreError` if the store refuses or can't be reached, with a message
    that names the store and never a credential.
    """

    name: str
    """Where the objects are, without credentials, such as `s3://bucket/prefix`."""

    async def put(self, key: str, file: Path, content_type: str, *, disposition: str = "") -> None:
        """Store a file. Nobody sees the object before it is whole.

        A bucket sends `disposition` as `Content-Disposition` with the object.
        """
        ...

    async def put_bytes(self, key: str, body: bytes, content_type: str) -> None:
        """Store bytes; see `put`."""
        ...

    def open(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ObjectBytes]:
        """Open an object from byte `start` up to, not including, byte `end`.

        Raises `ObjectMissingError`.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Return an object's size in bytes; None if there is no such object."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects. A missing one is no error."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """List the objects whose keys begin with a prefix that ends at a `/`."""
        ...

    async def signed_url(self, key: str, seconds: float) -> str | None:
        """Return a URL that serves the object for that time; None if this store can't sign."""
        ...

    async def check(self) -> None:
        """Write, read and delete a small object. The error names the step that was refused."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the object's file, if the objects are files of this machine."""
        ...

    def remove_unfinished(self, seconds: float) -> int:
        """Remove what killed uploads have left in a folder and nothing has touched so long.

        Return their number. Of a bucket nothing is removed: its own rules can do that.
        """
        ...

    def free_bytes(self) -> tuple[int, int] | None:
        """Return the free and all bytes of the disk with the objects; None if it is not ours."""
        ...
