"""The response to a download: no header of another server is passed on unchecked.

The file may come from a server that others control. So its type is limited to those that no browser
executes. Its length and range are compared with the request, and with the bytes that arrive.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from reelhook.domain.byte_range import Range
from reelhook.domain.errors import ProviderError
from reelhook.gateway import Content

OPAQUE = "application/octet-stream"
SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
}
"""Headers that keep a browser from executing a file that it opens as a page of this server."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_NO_SUCH_RANGE = re.compile(r"bytes \*/\d{1,18}", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_TYPE = re.compile(r"(?:video|image)/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}", re.ASCII)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_DATE = re.compile(r"[A-Za-z0-9:, +-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileDownload:
    """A download's status, headers and bytes."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def file_download(content: Content, wanted: Range | None) -> FileDownload:
    """Return the response. Raises `ProviderError` if the headers contradict the request."""
    received = {name.lower(): value for name, value in content.headers.items()}
    headers = {"Content-Type": _content_type(received.get("content-type", "")), **SAFE}
    length = int(value) if _LENGTH.fullmatch(value := received.get("content-length", "")) else None
    if received.get("accept-ranges", "").lower() == "bytes" or (content.status == 200 and length):
        headers["Accept-Ranges"] = "bytes"  # a whole file is cut here
    for name, form in (("ETag", _TAG), ("Last-Modified", _DATE)):
        if form.fullmatch(value := received.get(name.lower(), "")):
            headers[name] = value
    if content.status == 416 and wanted is not None:
        if _NO_SUCH_RANGE.fullmatch(value := received.get("content-range", "")):
            headers["Content-Range"] = value
        # The other server's error text is not part of the file.
        return FileDownload(416, {**headers, "Content-Length": "0"}, _nothing())
    if content.status == 200 and wanted is not None and length is not None:
        return _cut(content, wanted, length, headers)
    status, length, placed = _part(content.status, received, wanted, length)
    if length is not None:
        headers["Content-Length"] = str(length)
    return FileDownload(status, headers | placed, _whole(content.chunks, length))


def is_version(validator: str, headers: Mapping[str, str]) -> bool:
    """Return True if an `If-Range` names exactly the file with these headers (RFC 9110, 13.1.5).

    A weak tag never does, since the bytes may differ.
    """
    received = {name.lower(): value for name, value in headers.items()}
    validator = validator.strip()
    if validator.startswith('"'):
        return validator == received.get("etag")
    return not validator.startswith("W/") and validator == received.get("last-modified")


def matches(tags: str | None, tag: str) -> bool:
    """Return True if an `If-None-Match` names this tag; weak tags count (RFC 9110, 13.1.2)."""
    if tags is None:
        return False
    named = [one.strip().removeprefix("W/") for one in tags.split(",")]
    return "*" in named or tag.removeprefix("W/") in named


def _cut(content: Content, wanted: Range, length: int, headers: Mapping[str, str]) -> FileDownload:
    """Return the requested range of a file whose server sends it whole."""
    bounds = wanted.within(length)
    if bounds is None:
        added = {"Content-Range": f"bytes */{length}", "Content-Length": "0"}
        return FileDownload(416, {**headers, **added}, _nothing())
    first, last = bounds
    added = {
        "Content-Range": f"bytes {first}-{last}/{length}",
        "Content-Length": str(last - first + 1),
    }
    return FileDownload(206, {**headers, **added}, _between(content.chunks, first, last))


async def _between(chunks: AsyncIterator[bytes], first: int, last: int) -> AsyncIterator[bytes]:
    """Pass on the bytes from the first to the last. Raises `ProviderError` if the file ends early.

    The bytes after them are not awaited.
    """
    position = 0
    async for chunk in chunks:
        if part := chunk[max(first - position, 0) : last + 1 - position]:
            yield part
        position += len(chunk)
        if position > last:
            return
    raise ProviderError(f"The file ended after {position} bytes, before the announced range")


def _content_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    # SVG and other XML may hold scripts.
    return kind if _TYPE.fullmatch(kind) and "svg" not in kind and "xml" not in kind else OPAQUE


def _part(
    status: int, received: Mapping[str, str], wanted: Range | None, length: int | None
) -> tuple[int, int | None, dict[str, str]]:
    """Return the status, the number of bytes to expect (None: unknown), and `Content-Range`."""
    if status == 200:
        return 200, length, {}
    range_match = _CONTENT_RANGE.fullmatch(received.get("content-range", ""))
    if status != 206 or range_match is None:
        raise ProviderError(f"The file came with HTTP {status}, which does not fit the request")
    start, end = int(range_match[1]), int(range_match[2])
    total = None if range_match[3] == "*" else int(range_match[3])
    if end < start or (total is not None and end >= total) or length not in {None, end - start + 1}:
        raise ProviderError("The file came with a range that contradicts itself")
    if wanted is None and (start, end + 1) == (0, total):
        return 200, total, {}
    if wanted is None or not wanted.includes(start, end, total):
        raise ProviderError("The file came with another range than requested")
    return 206, end - start + 1, {"Content-Range": f"bytes {start}-{end}/{range_match[3]}"}


async def _whole(chunks: AsyncIterator[bytes], length: int | None) -> AsyncIterator[bytes]:
    """Pass the bytes on. Raises `ProviderError` for more or fewer than were announced."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if length is not None and received > length:
            break
        yield chunk
    if length is not None and received != length:
        raise ProviderError(f"The file does not have the {length} bytes that were announced")


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk
