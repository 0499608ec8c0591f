"""Streaming a finished file from the server where the provider has stored it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

from aiohttp import ClientResponse, ClientTimeout
from yarl import URL

from reelhook.domain.errors import (
    ContentMissingError,
    FileAddressRefusedError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.guard.connection import dialling
from reelhook.guard.target import AddressRefusedError
from reelhook.ports import Content
from reelhook.providers.http.file_access import FileRequest, Files, address_refused
from reelhook.providers.http.response import CONNECTION_ERRORS, error_description

REDIRECTS_MAX = 5
OPEN_SECONDS_MAX = 60.0
"""The time from the first request to the headers of the file, all redirects included."""
CHUNK_BYTES_MAX = 64 * 1024
SILENCE_SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ELSEWHERE = frozenset({400, 403, 404, 410})
"""Statuses after which the next source is tried: SGLang's 400, S3's 403 for an expired URL."""
_MISSING = frozenset({404, 410})
_PLAIN = frozenset({"", "identity", "aws-chunked"})
"""Encodings that do not change the bytes; S3 names the last one for streamed uploads."""
_FORWARDED = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
)


@dataclass(frozen=True, slots=True)
class Source:
    """An address of the file: a URL below the provider's base, or a text from the provider.

    `secret` headers are sent to the provider's own origin only.
    """

    url: URL | str = field(repr=False)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


@asynccontextmanager
async def download(
    files: Files, sources: Sequence[Source], byte_range: str | None
) -> AsyncIterator[Content]:
    """Open the first source that has the file.

    Raises `ContentMissingError` if no source has the file, `FileAddressRefusedError` if the file
    may be at an address that is not allowed, else `ProviderError`.
    """
    if not sources:
        raise ContentMissingError("The provider gave no address of the finished video.")
    headers = {"Accept": "application/binary", "Accept-Encoding": "identity"}
    if byte_range is not None:
        headers["Range"] = byte_range
    response = await _first(files, sources, headers)
    try:
        async with aclosing(_chunks(response)) as chunks:
            yield Content(
                response.status, _forwarded_headers(response), chunks, _ends_by_closing(response)
            )
    finally:
        response.close()


async def _first(
    files: Files, sources: Sequence[Source], headers: Mapping[str, str]
) -> ClientResponse:
    statuses = []
    refusal: FileAddressRefusedError | None = None
    for source in sources:
        try:
            response = await _opened(files, source, headers)
        except ProviderError as error:
            if isinstance(error, FileAddressRefusedError):
                refusal = refusal or error
            if source is sources[-1]:
                raise refusal or error from None
            continue  # an unreachable source says nothing about the next one
        if response.status in {200, 206, 416}:  # 416: the file is there, the range is not
            return _plain(response)
        response.close()
        if response.status in {401, 403} and "Authorization" in response.request_info.headers:
            raise ProviderUnauthorizedError(
                f"The provider refused the file with HTTP {response.status}"
            )
        statuses.append(response.status)
        if response.status not in _ELSEWHERE:
            break
    if refusal is not None:
        raise refusal
    if statuses[-1] in _ELSEWHERE and not _MISSING.isdisjoint(statuses):
        raise ContentMissingError("The provider no longer has the finished video.")
    raise ProviderError(f"The provider refused the file with HTTP {statuses[-1]}")


async def _opened(files: Files, source: Source, headers: Mapping[str, str]) -> ClientResponse:
    try:
        async with asyncio.timeout(OPEN_SECONDS_MAX):
            return await _followed(files, source, headers)
    except TimeoutError:
        raise ProviderError(f"The download did not start within {OPEN_SECONDS_MAX:g} s") from None


async def _followed(files: Files, source: Source, headers: Mapping[str, str]) -> ClientResponse:
    address, secret, trusting = source.url, source.secret, True
    for _ in range(REDIRECTS_MAX + 1):
        request = files.request_for(address, trusting=trusting)
        if not request.own:
            secret = {}  # never restored: a redirect back to the provider's origin gets no key
        response = await _get(request, {**headers, **secret})
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return response
        response.close()
        address, trusting = _joined(request.url, location), request.trusted
    raise ProviderError("The file's address redirects too often")


async def _get(request: FileRequest, headers: Mapping[str, str]) -> ClientResponse:
    try:
        with dialling():
            return await request.http.get(
                request.url,
                headers=headers,
                allow_redirects=False,
                auto_decompress=False,
                timeout=ClientTimeout(
                    total=None, connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX
                ),
            )
    except AddressRefusedError as error:
        raise address_refused(error) from None
    except CONNECTION_ERRORS as error:
        raise ProviderError(f"The file could not be opened: {error_description(error)}") from error


def _joined(url: URL, location: str) -> str:
    """Return the target of a redirect. The caller checks it before requesting it."""
    try:
        return urljoin(str(url), location)
    except ValueError:
        raise ProviderError(
            "The file's address redirects to something other than a web address"
        ) from None


def _plain(response: ClientResponse) -> ClientResponse:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PLAIN:
        response.close()
        raise ProviderError(
            f"The file came with Content-Encoding {encoding}, which was not requested"
        )
    return response


def _forwarded_headers(response: ClientResponse) -> dict[str, str]:
    headers = response.headers
    return {name: headers[name] for name in _FORWARDED if name in headers}


def _ends_by_closing(response: ClientResponse) -> bool:
    """Return True if neither a length nor chunks say where the body ends (RFC 9112, 6.3)."""
    coding = response.headers.get("Transfer-Encoding", "").strip().lower()
    return "Content-Length" not in response.headers and not coding.endswith("chunked")


async def _chunks(response: ClientResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES_MAX):
            yield chunk
    except CONNECTION_ERRORS as error:
        raise ProviderError(f"The download broke off: {error_description(error)}") from error
