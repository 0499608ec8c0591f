"""Streaming a finished file from where the provider put it."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from reelhook.domain.errors import ContentMissingError, ProviderError, ProviderUnauthorizedError
from reelhook.ports import Content
from reelhook.providers.answer import CONNECTION_ERRORS, described

REDIRECTS_MAX = 5
CHUNK_BYTES_MAX = 64 * 1024
SILENCE_SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ELSEWHERE = frozenset({400, 403, 404, 410})
"""Statuses after which the next source is tried: SGLang's 400, S3's 403 for an expired URL."""
_MISSING = frozenset({404, 410})
_PLAIN = frozenset({"", "identity", "aws-chunked"})
"""Encodings that leave the bytes alone; S3 shows the last one for uploads streamed to it."""
_PASSED = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
)


@dataclass(frozen=True, slots=True)
class Source:
    """One way to the file. `secret` headers go to the URL's own origin and nowhere else."""

    url: URL
    secret: Mapping[str, str]


def exact_url(text: str) -> URL:
    """Return the URL as it is written: a signed one must not be quoted anew. Raises ValueError."""
    written = text.isascii() and text.isprintable() and " " not in text
    return URL(text, encoded=written)


@asynccontextmanager
async def download(
    http: ClientSession, sources: Sequence[Source], byte_range: str | None
) -> AsyncIterator[Content]:
    """Open the first source that has the file.

    Raises `ContentMissingError` when none has it, or there is none, `ProviderError` when that is
    not known.
    """
    if not sources:
        raise ContentMissingError("The provider gave no address of the finished video.")
    asked = {"Accept": "application/binary", "Accept-Encoding": "identity"}
    if byte_range is not None:
        asked["Range"] = byte_range
    response = await _first(http, sources, asked)
    try:
        async with aclosing(_chunks(response)) as chunks:
            yield Content(response.status, _described_bytes(response), chunks)
    finally:
        response.close()


async def _first(
    http: ClientSession, sources: Sequence[Source], asked: Mapping[str, str]
) -> ClientResponse:
    statuses = []
    for source in sources:
        try:
            response = await _opened(http, source, asked)
        except ProviderError:
            if source is sources[-1]:
                raise
            continue  # one address that can't be reached says nothing of the next
        if response.status in {200, 206, 416}:  # 416: the file is there, the range is not
            return _plain(response)
        response.close()
        if response.status in {401, 403} and "Authorization" in response.request_info.headers:
            raise ProviderUnauthorizedError(f"The file was refused with HTTP {response.status}")
        statuses.append(response.status)
        if response.status not in _ELSEWHERE:
            break
    if statuses[-1] in _ELSEWHERE and not _MISSING.isdisjoint(statuses):
        raise ContentMissingError("The provider no longer has the finished video.")
    raise ProviderError(f"The file was refused with HTTP {statuses[-1]}")


async def _opened(http: ClientSession, source: Source, asked: Mapping[str, str]) -> ClientResponse:
    url, secret = source.url, source.secret
    for _ in range(REDIRECTS_MAX + 1):
        response = await _get(http, url, {**asked, **secret})
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return response
        response.close()
        target = _joined(url, location)
        if not _same_origin(target, url):
            secret = {}  # for good: another origin does not send it back to us with the key
        url = target
    raise ProviderError("The file's address redirects too often")


async def _get(http: ClientSession, url: URL, headers: Mapping[str, str]) -> ClientResponse:
    try:
        return await http.get(
            url,
            headers=headers,
            allow_redirects=False,
            auto_decompress=False,
            timeout=ClientTimeout(
                total=None, connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX
            ),
        )
    except CONNECTION_ERRORS as error:
        raise ProviderError(f"The file could not be opened: {described(error)}") from error


def _same_origin(one: URL, other: URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _joined(url: URL, location: str) -> URL:
    try:
        target = url.join(exact_url(location))
        usable = target.scheme in {"http", "https"} and target.host and target.port
    except ValueError:
        usable = False
    if not usable:
        raise ProviderError("The file's address redirects to something that is no web address")
    return target


def _plain(response: ClientResponse) -> ClientResponse:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PLAIN:
        response.close()
        raise ProviderError(f"The file came with Content-Encoding {encoding}, which was not asked")
    return response


def _described_bytes(response: ClientResponse) -> dict[str, str]:
    headers = response.headers
    return {name: headers[name] for name in _PASSED if name in headers}


async def _chunks(response: ClientResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES_MAX):
            yield chunk
    except CONNECTION_ERRORS as error:
        raise ProviderError(f"The file broke off: {described(error)}") from error
