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


class JobMediaFetch(Protocol):
    """Fetches the videos of completed jobs, and their last frames."""

    def fetch(
        self, project: str, job_id: str, kind: str
    ) -> AbstractAsyncContextManager[FetchedFile]:
        """Fetch the "video" of a job of this project, or as an "image" its last frame.

        The file is kept until the block ends. Raises `MediaUnavailableError`.
        """
        ...


class MediaFetch(Protocol):
    """Fetches files from addresses that strangers chose."""

    def fetch(self, url: str, kind: str) -> AbstractAsyncContextManager[FetchedFile]:
        """Fetch an "image", a "video" or an "audio", and keep it until the block ends.

        No address is dialled before it was judged. Raises `MediaUnavailableError`.
        """
        ...
