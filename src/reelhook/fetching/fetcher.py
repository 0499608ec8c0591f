"""The fetcher: one GET per file, with limits on time and size, through the address guard."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urljoin

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
)
from yarl import URL

from reelhook.core.offload import open_on_disk, run_on_disk
from reelhook.domain.media import BYTES_MAX, FORMATS, File, content_type_of, judged
from reelhook.domain.media_errors import OUR_ERRORS, MediaUnavailableError
from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.connection import GuardedConnector, OpenSocket, dialling, open_socket
from reelhook.guard.resolver import SystemLookUp
from reelhook.guard.target import (
    SIGNED_URL_CHARACTERS_MAX,
    AddressRefusedError,
    Target,
    parse_target,
)

FETCH_SECONDS_MAX = 60.0
"""The time for one file, all redirects included."""
CONNECT_SECONDS_MAX = 10.0
SILENCE_SECONDS_MAX = 20.0
REDIRECTS_MAX = 5
PIECE_BYTES = 1024 * 1024
"""The bytes that are written to the disk at once."""
HEAD_BYTES = 64
"""The bytes that show a file's type; see `content_type_of`."""
REASON_CHARACTERS_MAX = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PLAIN = frozenset({"", "identity"})
_ERRORS = (ClientError, OSError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file on the disk without a name, so none is left behind. Implements `FetchedFile`."""

    spool: BinaryIO
    content_type: str
    size: int

    async def read(self) -> File:
        """Return the file."""
        return await run_on_disk(self._read)

    def _read(self) -> File:
        self.spool.seek(0)
        return File(self.content_type, self.spool.read())


class MediaFetcher:
    """`MediaFetch` over aiohttp: `async with MediaFetcher(...) as fetcher`, in a running loop.

    `folder` holds files while they are fetched; it is made at the first one.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        folder: Path,
        *,
        user_agent: str,
        look_up: LookUp | None = None,
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._policy = policy
        self._folder = folder
        self._headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": user_agent}
        self._http = ClientSession(
            connector=GuardedConnector(
                policy, look_up=look_up or SystemLookUp(), open_socket=open_socket
            ),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(
                total=None, connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX
            ),
            auto_decompress=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @asynccontextmanager
    async def fetch(self, url: str, kind: str) -> AsyncIterator[SpooledFile]:
        """Fetch a file; see `MediaFetch.fetch`."""
        what = f"The {kind} at {origin_of(url)}"
        try:
            spool = await open_on_disk(self._open_spool, _close)
        except OSError as error:
            raise MediaUnavailableError(_unkept(what, error), ours=True) from error
        try:
            try:
                async with asyncio.timeout(FETCH_SECONDS_MAX):
                    fetched = await self._fetched(url, kind, spool)
            except TimeoutError:
                reason = f"it took longer than {FETCH_SECONDS_MAX:g} s"
                raise MediaUnavailableError(f"{what} {_FAILED}{reason}", passing=True) from None
            except _SpoolError as error:
                raise MediaUnavailableError(_unkept(what, error.cause), ours=True) from None
            except _FetchError as error:
                message = f"{what} {_FAILED}{error.reason}"
                passing, ours = error.passing, error.ours
                raise MediaUnavailableError(message, passing=passing, ours=ours) from None
            yield fetched
        finally:
            await run_on_disk(spool.close)

    def _open_spool(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    async def _fetched(self, url: str, kind: str, spool: BinaryIO) -> SpooledFile:
        response = await self._opened(url)
        try:
            content_type, size = await _received(response, kind, spool)
        except _ERRORS as error:
            raise _FetchError(_reason(error), passing=True) from error
        finally:
            response.close()
        return SpooledFile(spool, content_type, size)

    async def _opened(self, url: str) -> ClientResponse:
        """Return the response with the file, after the redirects to it."""
        for _ in range(REDIRECTS_MAX + 1):
            target = self._judged(url)
            response = await self._get(target)
            location = response.headers.get("Location")
            if response.status == 200:
                return response
            response.close()
            if response.status not in _REDIRECTS or location is None:
                raise _FetchError(f"it answered HTTP {response.status}", passing=True)
            try:
                url = urljoin(target.wire_url, location)
            except ValueError:
                raise _FetchError("it redirects to something else than a web address") from None
        raise _FetchError(f"it redirects more than {REDIRECTS_MAX} times")

    def _judged(self, url: str) -> Target:
        try:
            return self._policy.parse(url, characters_max=SIGNED_URL_CHARACTERS_MAX)
        except AddressRefusedError as error:
            raise _FetchError(error.message) from None

    async def _get(self, target: Target) -> ClientResponse:
        address = URL(target.wire_url, encoded=True)
        try:
            with dialling():
                return await self._http.get(address, headers=self._headers, allow_redirects=False)
        except AddressRefusedError as error:
            raise _FetchError(error.message) from None
        except _ERRORS as error:
            cause = error.os_error if isinstance(error, ClientConnectorError) else error
            ours = isinstance(cause, OSError) and cause.errno in OUR_ERRORS
            raise _FetchError(_reason(error), passing=True, ours=ours) from error


_FAILED = "could not be fetched: "


class _FetchError(Exception):
    """A try failed. `passing`: another one may succeed. `ours`: see `MediaUnavailableError`."""

    def __init__(self, reason: str, *, passing: bool = False, ours: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing
        self.ours = ours


class _SpoolError(Exception):
    """The disk did not take a file."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _unkept(what: str, error: OSError) -> str:
    return f"{what} can't be kept: {error.strerror or error}"


async def _write(spool: BinaryIO, piece: bytearray) -> None:
    try:
        await run_on_disk(partial(_write_through, spool, bytes(piece)))
    except OSError as error:
        raise _SpoolError(error) from error


def _close(spool: BinaryIO) -> None:
    spool.close()


def _write_through(spool: BinaryIO, piece: bytes) -> None:
    spool.write(piece)
    spool.flush()  # a full disk shows here, and not when the file is read


async def _received(response: ClientResponse, kind: str, spool: BinaryIO) -> tuple[str, int]:
    """Write a body to the disk; return the type that its first bytes show, and its size."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PLAIN:
        raise _FetchError(f"it came with Content-Encoding {encoding}, which was not asked for")
    bytes_max = BYTES_MAX[kind]
    too_large = _FetchError(f"it has more than {bytes_max // 1024**2} MiB")
    if (response.content_length or 0) > bytes_max:
        raise too_large
    piece, size, content_type = bytearray(), 0, None
    async for chunk in response.content.iter_any():
        piece += chunk
        size += len(chunk)
        if size > bytes_max:
            raise too_large
        if content_type is None and len(piece) >= HEAD_BYTES:
            content_type = _type_of(piece, kind)
        if len(piece) >= PIECE_BYTES:
            await _write(spool, piece)
            piece.clear()
    content_type = content_type or _type_of(piece, kind)
    await _write(spool, piece)
    return content_type, size


def _type_of(piece: bytearray, kind: str) -> str:
    file = judged(File("", bytes(piece[:HEAD_BYTES])), kind)
    if file is not None:
        return file.content_type
    found = content_type_of(bytes(piece[:HEAD_BYTES]))
    shown = f"it is {found} by its bytes" if found else f"it is no {kind} by its bytes"
    # A server that is overloaded may send a page with the status 200.
    raise _FetchError(f"{shown}, and must be {FORMATS[kind]}", passing=True)


def _reason(error: BaseException) -> str:
    match error:
        case ClientConnectorDNSError():
            return "its name could not be resolved"
        case TimeoutError():
            return "it did not answer in time"
        case ClientPayloadError():
            return "it broke off before its end"
        case _:
            text = str(error) if isinstance(error, OSError) else ""
            return (text or type(error).__name__)[:REASON_CHARACTERS_MAX]


def origin_of(url: str) -> str:
    """Return the origin of a URL, for messages: its path and query may be secrets."""
    try:
        scheme, host, port = parse_target(url, characters_max=SIGNED_URL_CHARACTERS_MAX).origin
    except AddressRefusedError:
        return "an unreadable address"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port in {80, 443} else f":{port}")
