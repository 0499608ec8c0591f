"""Port for uploads: files that are kept before a request refers to them."""

from collections.abc import Sequence
from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.domain.media import File


class UploadStore(Protocol):
    """Keeps uploads, and finds them for requests."""

    async def keep_upload(
        self, project: str, file: File, now: Instant, until: Instant, bytes_max: int
    ) -> None:
        """Keep a file until that time at least. Raises `UploadsFullError`."""
        ...

    async def hold_uploads(
        self, project: str, hashes: Sequence[str], until: Instant
    ) -> dict[str, str]:
        """Keep those of these uploads that exist until that time at least.

        Return their content types by their hashes.
        """
        ...

    async def files(self, project: str, hashes: Sequence[str]) -> dict[str, File]:
        """Return those of these files of a project that exist, by their hashes."""
        ...
