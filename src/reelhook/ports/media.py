"""Port for fetching the images, videos and sounds that requests name by their addresses."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from reelhook.domain.media import File


class FetchedFile(Protocol):
    """A fetched file, which is not in memory until it is read."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    async def read(self) -> File:
        """Return the file, with the type that its bytes show."""
        ...


class MediaFetch(Protocol):
    """Fetches files from addresses that strangers chose."""

    def fetch(self, url: str, kind: str) -> AbstractAsyncContextManager[FetchedFile]:
        """Fetch an "image", a "video" or an "audio", and keep it until the block ends.

        No address is dialled before it was judged. Raises `MediaUnavailableError`.
        """
        ...
