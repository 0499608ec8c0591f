"""Uploads: files that a client sends before the requests that use them."""

import re
from dataclasses import dataclass
from hashlib import sha256

from reelhook.domain.errors import ReelhookError
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.image_size import pixels_of
from reelhook.domain.media import BYTES_MAX, File, content_type_of

UPLOAD = "upload_[0-9a-f]{64}"
"""The form of an upload's id, which names a file of the project by its hash."""
KEPT_MILLISECONDS = DAY_MILLISECONDS
"""The time for which an upload is kept after it was sent or used."""
_PREFIX = "upload_"


_OTHER_BEGINNINGS = (
    (b"%PDF-", "a PDF"),  # ISO 32000-1, 7.5.2
    (b"PK\x03\x04", "a ZIP archive"),  # PKWARE's APPNOTE, 4.3.7
    (b"\x1f\x8b", "a gzip archive"),  # RFC 1952, 2.3.1
    (b"II*\0", "a TIFF image"),  # TIFF 6.0, section 2
    (b"MM\0*", "a TIFF image"),
    (b"BM", "a BMP image"),  # Microsoft's BITMAPFILEHEADER
)
_TEXTS = (
    ("<svg", "an SVG image"),
    ("<!doctype html", "a page of HTML"),
    ("<html", "a page of HTML"),
    ("#extm3u", "a playlist"),  # RFC 8216, 4.3.1.1
)
_HEAD_BYTES = 512


class UploadKindError(ReelhookError):
    """An upload is of no kind that requests take."""

    code = "unsupported_media_type"

    def __init__(self, body: bytes) -> None:
        super().__init__(
            f"The file is {_kind_of(body)} by its bytes" if body else "The file is empty"
        )


class UploadTooLargeError(ReelhookError):
    """An upload is larger than a file of its kind may be."""

    code = "request_too_large"

    def __init__(self, kind: str, mib_max: int) -> None:
        super().__init__(
            f"An upload of the kind {kind} may have {mib_max} MiB",
            facts={"kind": kind, "limit": mib_max},
        )


class UploadsFullError(ReelhookError):
    """A project has as many bytes of uploads as it may have."""

    code = "uploads_full"

    def __init__(self, used: int, mib_max: int) -> None:
        used_mib = -(-used // 1024**2)
        super().__init__(
            f"The project's uploads have {used_mib} of {mib_max} MiB; unused ones are removed "
            "after a day",
            facts={"used": used_mib, "limit": mib_max},
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it was stored. `pixels` is width and height; None: not known."""

    id: str
    sha256: str
    content_type: str
    size: int
    pixels: tuple[int, int] | None
    kept_until: Instant


def checked_upload(body: bytes) -> File:
    """Return the file of an upload; its first bytes decide its type.

    Raises `UploadKindError` or `UploadTooLargeError`.
    """
    content_type = content_type_of(body)
    if content_type is None:
        raise UploadKindError(body)
    kind = content_type.partition("/")[0]
    if len(body) > BYTES_MAX[kind]:
        raise UploadTooLargeError(kind, BYTES_MAX[kind] // 1024**2)
    return File(content_type, body)


def upload_of(file: File, now: Instant) -> Upload:
    """Return an upload that was stored now. Its hashes take a while for a large file."""
    return Upload(
        id=f"{_PREFIX}{file.hash}",
        sha256=sha256(file.body).hexdigest(),
        content_type=file.content_type,
        size=len(file.body),
        pixels=pixels_of(file.body),
        kept_until=now + KEPT_MILLISECONDS,
    )


def hash_of_upload(text: str) -> str | None:
    """Return the hash of the file that an upload's id names; None if the text is no such id."""
    return text.removeprefix(_PREFIX) if re.fullmatch(UPLOAD, text) else None


def _kind_of(body: bytes) -> str:
    """Return the name of a kind that no request takes, for a message."""
    for beginning, name in _OTHER_BEGINNINGS:
        if body.startswith(beginning):
            return name
    text = body[:_HEAD_BYTES].decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    for start, name in _TEXTS:
        if text.startswith(start):
            return name
    readable = all(one.isprintable() or one.isspace() for one in text.rstrip("\ufffd"))
    return "a text" if readable else "no image, video or audio"
