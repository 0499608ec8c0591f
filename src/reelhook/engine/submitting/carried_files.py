"""The files of a request in the form in which its provider gets them, just before it is paid."""

from collections.abc import Callable
from dataclasses import dataclass

from reelhook.core.request_files import put_back
from reelhook.domain.media_limits import check_images, not_carried, not_inline
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import kind_of, stored_files, with_media
from reelhook.ports import Creates, RequestFileReads, StoredJob

FileAddress = Callable[[str, str], str | None]
"""Returns the address of a stored file, by its project and its hash; None: it has none."""


def no_address(_project: str, _hash: str) -> None:
    """Return None: no provider can reach this server."""


@dataclass(frozen=True)
class CarriedFiles:
    """The files of the requests of one account."""

    store: RequestFileReads
    provider: Creates
    address: FileAddress = no_address

    async def request(self, stored: StoredJob) -> VideoRequest:
        """Return the request of a job with its files: in itself, or at our addresses.

        Raises `InvalidRequestError` for a file that the model or the provider does not take,
        `KeyError` for one that is not stored any more, or `StoreError`.
        """
        request = stored.request
        hashes = stored_files(request)
        if not hashes:
            return request
        files = await self.store.files(stored.job.project, hashes)
        model = self.provider.model(request.model)
        called = f"{self.provider.name}/{request.model}"
        check_images(None if model is None else model.images, request, files, called)
        inline_max = self.provider.traits.inline_bytes_max
        addresses: dict[str, str] = {}
        for field, file_hash in not_inline(request, files, inline_max).items():
            address = self.address(stored.job.project, file_hash)
            if address is None:
                raise not_carried(field, self.provider.name, inline_max[kind_of(field)])
            addresses[field] = address
        request = with_media(request, addresses.get)
        return await put_back(request, files)
