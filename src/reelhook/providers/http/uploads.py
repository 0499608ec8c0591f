"""Uploads of a request's files to its provider, before the paid call.

They cost nothing, so a failed upload is a definite "not accepted": the job waits, or ends unpaid.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from aiohttp import ClientSession, ClientTimeout, FormData
from yarl import URL

from reelhook.domain.errors import FileAddressRefusedError
from reelhook.domain.media import File, file_of
from reelhook.domain.media_errors import MediaUnavailableError
from reelhook.domain.report import NotSent, RateLimited, Refused
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import kind_of, media_of, with_media
from reelhook.guard.connection import dialling
from reelhook.guard.target import AddressRefusedError
from reelhook.providers.http.error_mapping import error_message, refusal_from
from reelhook.providers.http.file_access import Files
from reelhook.providers.http.json_fields import Fields
from reelhook.providers.http.local_errors import is_local_error
from reelhook.providers.http.response import (
    CONNECTION_ERRORS,
    ProviderResponse,
    error_description,
)
from reelhook.providers.http.response_memory import UNREAD_BYTES, ResponseMemory

CONNECT_SECONDS_MAX = 10.0
Unsent = NotSent | RateLimited | Refused
"""The outcomes of a paid call that was not made."""
_FILE_REFUSED = frozenset({400, 413, 415, 422})
_NO_SUCH_ROUTE = frozenset({404, 405, 501})
_TEMPORARY = frozenset({408, 409, 425})
_ENDINGS = {"image/jpeg": "jpg", "audio/mpeg": "mp3", "video/quicktime": "mov"}


class UploadError(Exception):
    """A file was not uploaded. `outcome` is that of the paid call, which is not made."""

    def __init__(self, outcome: Unsent) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class NoUploadsError(Exception):
    """The server has no API for uploads: a proxy in front of the provider, for example."""


async def with_uploads(
    request: VideoRequest,
    inline_max: Mapping[str, int],
    upload: Callable[[File], Awaitable[str]],
    timeout_seconds: float,
) -> VideoRequest | Unsent:
    """Return the request with the addresses of its large files, each uploaded once.

    `inline_max` are the characters of the longest `data:` URI of each kind that is sent as it is.
    `upload` returns the address of a file, or raises `UploadError`. `timeout_seconds` limits all
    uploads together. If the server has no API for uploads, the request is returned unchanged.
    """
    large = {
        name: file
        for name, text in media_of(request)
        if text.startswith("data:") and len(text) > inline_max[kind_of(name)]
        if (file := file_of(text)) is not None
    }
    if not large:
        return request
    addresses: dict[int, str] = {}
    try:
        async with asyncio.timeout(timeout_seconds):
            for file in large.values():
                if id(file) not in addresses:
                    addresses[id(file)] = await upload(file)
    except NoUploadsError:
        return request
    except UploadError as error:
        return error.outcome
    except TimeoutError:
        return NotSent(f"uploading the files of the request took longer than {timeout_seconds:g} s")
    except Exception as error:  # whatever it was, the paid call was not made
        return NotSent(f"uploading a file failed: {error_description(error)}", ours=True)
    return with_media(
        request, lambda name, text: addresses[id(large[name])] if name in large else text
    )


def file_name(file: File) -> str:
    """Return a name whose ending says the type."""
    subtype = file.content_type.partition("/")[2]
    return f"file.{_ENDINGS.get(file.content_type, subtype)}"


@dataclass(frozen=True, slots=True)
class Uploader:
    """Sends the requests of uploads for one account. `now` returns Unix seconds."""

    http: ClientSession
    files: Files
    memory: ResponseMemory
    now: Callable[[], float]

    async def ask(self, url: URL, headers: Mapping[str, str], content: Fields | FormData) -> Fields:
        """POST to the provider's API, and return the response.

        Raises `UploadError`, or `NoUploadsError`.
        """
        sent = dict(headers)
        if not isinstance(content, FormData):
            sent["Content-Type"] = "application/json"
        body = content if isinstance(content, FormData) else json.dumps(content).encode()
        response = await self._request(self.http, "POST", url, sent, body)
        if response.status in _NO_SUCH_ROUTE:
            raise NoUploadsError
        self._check(response)
        return response.fields()

    async def send(
        self, method: str, address: object, headers: Mapping[str, str], content: bytes | FormData
    ) -> None:
        """Send a file to an address that the provider named; no key goes there.

        The address is judged like that of a finished file. Raises `UploadError`.
        """
        if not isinstance(address, str):
            raise _unreadable("an address for the file")
        try:
            where = self.files.request_for(address, trusting=True)
            with dialling():
                response = await self._request(where.http, method, where.url, headers, content)
        except (FileAddressRefusedError, AddressRefusedError) as error:
            raise _refused(f"The provider's address for uploads is refused: {error}") from None
        if response.status in _FILE_REFUSED:
            raise _refused(f"The provider does not take the file: {_shown(response)}")
        if not response.ok:
            raise UploadError(NotSent(f"uploading a file failed: {_shown(response)}"))

    def _check(self, response: ProviderResponse) -> None:
        status = response.status
        if response.ok:
            return
        if status in _FILE_REFUSED:
            raise _refused(f"The provider does not take the file: {_shown(response)}")
        if 400 <= status < 500 and status not in _TEMPORARY:
            raise UploadError(refusal_from(response, self.now()))
        raise UploadError(NotSent(f"uploading a file failed: {_shown(response)}"))

    async def _request(
        self,
        http: ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        content: bytes | FormData,
    ) -> ProviderResponse:
        try:
            async with http.request(
                method,
                url,
                data=BytesIO(content) if isinstance(content, bytes) else content,
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                auto_decompress=False,
                read_bufsize=UNREAD_BYTES,
                timeout=ClientTimeout(total=None, connect=CONNECT_SECONDS_MAX),
            ) as response:
                return await self.memory.receive(response)
        except AddressRefusedError:
            raise
        except CONNECTION_ERRORS as error:
            reason = f"uploading a file failed: {error_description(error)}"
            raise UploadError(NotSent(reason, ours=is_local_error(error))) from error


def address_in(fields: Fields, name: str) -> str:
    """Return the address of an uploaded file. Raises `UploadError`."""
    address = fields.get(name)
    if not isinstance(address, str) or ":" not in address or not address.isprintable():
        raise _unreadable("the file's address")
    return address


def _unreadable(wanted: str) -> UploadError:
    return UploadError(NotSent(f"uploading a file failed: the response has no {wanted}"))


def _refused(message: str) -> UploadError:
    return UploadError(Refused(MediaUnavailableError.code, message))


def _shown(response: ProviderResponse) -> str:
    return f"HTTP {response.status}: {error_message(response)}"
