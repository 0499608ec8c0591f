"""What a download answers with: nothing of another server's head goes out unread.

The file comes from a server that others may own. So its type is one that no browser runs, and what
its head says of length and range is held against what was asked, and against the bytes that come.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from reelhook.domain.errors import ProviderError
from reelhook.gateway import Content

OPAQUE = "application/octet-stream"
SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
}
"""What keeps a browser from running a file that is opened as a page of this server's."""

_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII | re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_NO_SUCH_RANGE = re.compile(r"bytes \*/\d{1,18}", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_TYPE = re.compile(r"(?:video|image)/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}", re.ASCII)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_DATE = re.compile(r"[A-Za-z0-9:, +-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of bytes: from `start` to `end`, or to the file's end; or its last `suffix`."""

    start: int = 0
    end: int | None = None
    suffix: int | None = None

    @classmethod
    def read(cls, header: str | None) -> "Range | None":
        """Return what a request asks for; None for the whole file.

        Several ranges, or another unit, may be passed over (RFC 9110, 14.2): then it is the whole.
        """
        found = _ONE_RANGE.fullmatch(header.strip()) if header else None
        if found is None:
            return None
        start, end, suffix = (None if one is None else int(one) for one in found.groups())
        if start is None:
            return cls(suffix=suffix)
        return None if end is not None and end < start else cls(start, end)

    def __str__(self) -> str:
        """Return it as a request's header has it."""
        if self.suffix is not None:
            return f"bytes=-{self.suffix}"
        return f"bytes={self.start}-{'' if self.end is None else self.end}"

    def within(self, total: int) -> tuple[int, int] | None:
        """Return the first and the last byte of it in a file of this length; None: it has none."""
        if self.suffix is not None:
            return (max(total - self.suffix, 0), total - 1) if self.suffix and total else None
        if self.start >= total:
            return None
        return self.start, total - 1 if self.end is None else min(self.end, total - 1)

    def holds(self, start: int, end: int, total: int | None) -> bool:
        """Whether these bytes are what was asked, or its beginning."""
        if self.suffix is not None:
            return total is None or start == max(total - self.suffix, 0)
        return start == self.start and (self.end is None or end <= self.end)


@dataclass(frozen=True, slots=True)
class FileDownload:
    """A download's status, headers and bytes."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def file_download(content: Content, asked: Range | None) -> FileDownload:
    """Return what to answer with. Raises `ProviderError` where a head contradicts the request."""
    told = {name.lower(): value for name, value in content.headers.items()}
    headers = {"Content-Type": _content_type(told.get("content-type", "")), **SAFE}
    length = int(value) if _LENGTH.fullmatch(value := told.get("content-length", "")) else None
    if told.get("accept-ranges", "").lower() == "bytes" or (content.status == 200 and length):
        headers["Accept-Ranges"] = "bytes"  # what its server does not cut is cut here
    for name, form in (("ETag", _TAG), ("Last-Modified", _DATE)):
        if form.fullmatch(value := told.get(name.lower(), "")):
            headers[name] = value
    if content.status == 416 and asked is not None:
        if _NO_SUCH_RANGE.fullmatch(value := told.get("content-range", "")):
            headers["Content-Range"] = value
        # What another server says to a person is no part of the file.
        return FileDownload(416, {**headers, "Content-Length": "0"}, _nothing())
    if content.status == 200 and asked is not None and length is not None:
        return _cut(content, asked, length, headers)
    status, length, placed = _part(content.status, told, asked, length)
    if length is not None:
        headers["Content-Length"] = str(length)
    return FileDownload(status, headers | placed, _whole(content.chunks, length))


def is_version(validator: str, headers: Mapping[str, str]) -> bool:
    """Whether an `If-Range` names just the file that these headers are of (RFC 9110, 13.1.5).

    A weak tag names none, since its bytes may differ.
    """
    told = {name.lower(): value for name, value in headers.items()}
    validator = validator.strip()
    if validator.startswith('"'):
        return validator == told.get("etag")
    return not validator.startswith("W/") and validator == told.get("last-modified")


def _cut(content: Content, asked: Range, length: int, headers: Mapping[str, str]) -> FileDownload:
    """Return the range that was asked for of a file whose server sends it whole."""
    place = asked.within(length)
    if place is None:
        told = {"Content-Range": f"bytes */{length}", "Content-Length": "0"}
        return FileDownload(416, {**headers, **told}, _nothing())
    first, last = place
    told = {
        "Content-Range": f"bytes {first}-{last}/{length}",
        "Content-Length": str(last - first + 1),
    }
    return FileDownload(206, {**headers, **told}, _between(content.chunks, first, last))


async def _between(chunks: AsyncIterator[bytes], first: int, last: int) -> AsyncIterator[bytes]:
    """Pass on the bytes from the first to the last. Raises `ProviderError` where they end before.

    What is behind them is not waited for.
    """
    at = 0
    async for chunk in chunks:
        if part := chunk[max(first - at, 0) : last + 1 - at]:
            yield part
        at += len(chunk)
        if at > last:
            return
    raise ProviderError(f"The file ended after {at} bytes, before the range that was announced")


def _content_type(told: str) -> str:
    kind = told.partition(";")[0].strip().lower()
    # SVG, and whatever else is XML, may hold scripts.
    return kind if _TYPE.fullmatch(kind) and "svg" not in kind and "xml" not in kind else OPAQUE


def _part(
    status: int, told: Mapping[str, str], asked: Range | None, length: int | None
) -> tuple[int, int | None, dict[str, str]]:
    """Return the status, how many bytes must come, where that is known, and where they lie."""
    if status == 200:
        return 200, length, {}
    place = _CONTENT_RANGE.fullmatch(told.get("content-range", ""))
    if status != 206 or place is None:
        raise ProviderError(f"The file came with HTTP {status}, which fits no request")
    start, end = int(place[1]), int(place[2])
    total = None if place[3] == "*" else int(place[3])
    if end < start or (total is not None and end >= total) or length not in {None, end - start + 1}:
        raise ProviderError("The file came with a range that contradicts itself")
    if asked is None and (start, end + 1) == (0, total):
        return 200, total, {}
    if asked is None or not asked.holds(start, end, total):
        raise ProviderError("The file came with another range than was asked for")
    return 206, end - start + 1, {"Content-Range": f"bytes {start}-{end}/{place[3]}"}


async def _whole(chunks: AsyncIterator[bytes], length: int | None) -> AsyncIterator[bytes]:
    """Pass the bytes on. Raises `ProviderError` for more or fewer than were announced."""
    came = 0
    async for chunk in chunks:
        came += len(chunk)
        if length is not None and came > length:
            break
        yield chunk
    if length is not None and came != length:
        raise ProviderError(f"The file has not the {length} bytes that were announced")


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk
