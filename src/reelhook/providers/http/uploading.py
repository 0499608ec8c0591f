"""Providers to which large files of requests are uploaded."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

from reelhook.domain.media import File
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.uploads import Unsent, Uploader, with_uploads


class UploadingProvider(HttpProvider):
    """A provider that has an API for uploads."""

    inline_max: ClassVar[Mapping[str, int]]
    """The characters of the longest `data:` URI that is sent as it is, by the kind of the file."""

    @cached_property
    def uploader(self) -> Uploader:
        """The requests of uploads."""
        return Uploader(self.http, self.files, self.memory, self.now)

    @abstractmethod
    async def upload(self, file: File) -> str:
        """Upload a file, and return the address that requests name. Raises `UploadError`."""

    async def with_uploads(self, request: VideoRequest) -> VideoRequest | Unsent:
        """Return the request with the addresses of its large files; see `with_uploads`."""
        return await with_uploads(
            request, self.inline_max, self.upload, self.submit_timeout_seconds
        )
