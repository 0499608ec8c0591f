"""Files in requests: their kinds, judged by their bytes, and `data:` URIs."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

FILES_BYTES_MAX = 64 * 1024 * 1024
"""The most bytes of all files that one request carries."""
_MIB = 1024 * 1024
BYTES_MAX: Mapping[str, int] = {"image": 32 * _MIB, "video": FILES_BYTES_MAX, "audio": 32 * _MIB}
"""The most bytes of one file of each kind."""
FORMATS: Mapping[str, str] = {
    "image": "PNG, JPEG, WebP, GIF, AVIF or HEIC",
    "video": "MP4, WebM or QuickTime",
    "audio": "MP3, MP4, WebM, WAV, Ogg or FLAC",
}
"""The formats that are known by their bytes."""
_REFERENCE = "file:"
_URI = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,")
_PIECE = 3 * 2**18
"""Bytes that are converted at once: other threads can run between two pieces."""
_BEGINNINGS = (
    # PNG: RFC 2083, section 3.1. JPEG: ITU-T T.81, B.1.1.3. GIF: its specification, section 17.
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    # EBML: RFC 8794, section 11.2.1. Matroska has the same beginning.
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    # Ogg: RFC 3533, section 6. MP3 with tags: ID3v2, section 3.1.
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),  # RFC 9639, section 8
    (b"ID3", "audio/mpeg"),
)
# RIFF and its form at byte 8: WebP is RFC 9649, section 2.4; WAVE is Microsoft's RIFF, 1991.
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"avif": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"mif1"), "image/heic"),
}
"""Brands of ISO base media files (ISO/IEC 14496-12, section 4.3) that are no MP4 video.

Those of images: AV1 Image File Format, section 6; HEIF, ISO/IEC 23008-12, section 10."""
_AUDIO_ALONE = {"video/mp4": "audio/mp4", "video/webm": "audio/webm"}
"""Formats whose first bytes are the same for a video and for audio alone."""
_MP3_SYNC = 0xFFE0
_MP3_LAYER, _MP3_LAYER_3 = 0x0006, 0x0002


@dataclass(frozen=True)
class File:
    """A file of a request."""

    content_type: str
    body: bytes

    @cached_property
    def hash(self) -> str:
        """The hash by which it is stored. Bytes that are given another type are another file."""
        digest = sha256(f"{self.content_type}\n".encode())
        digest.update(self.body)
        return digest.hexdigest()

    @property
    def uri(self) -> str:
        """The file as a `data:` URI."""
        text = bytearray(f"data:{self.content_type};base64,".encode())
        for start in range(0, len(self.body), _PIECE):
            text += b64encode(self.body[start : start + _PIECE])
        uri = FileUri(text, "ascii")
        uri.file = self
        return uri


class FileUri(str):
    """A URI that remembers its file, because decoding it takes long and as much memory again."""

    file: File


def file_of(uri: str) -> File | None:
    """Return the file that a `data:` URI contains; None if its form or its base64 is wrong."""
    if isinstance(uri, FileUri):
        return uri.file
    match = _URI.match(uri)
    if match is None:
        return None
    piece = _PIECE * 4 // 3
    starts = range(match.end(), len(uri), piece)
    try:
        parts = [b64decode(uri[start : start + piece], validate=True) for start in starts]
    except (NotBase64Error, ValueError):
        return None
    # Padding ends the text, so only the last piece may be shorter than the others.
    whole = all(len(part) == _PIECE for part in parts[:-1])
    return File(match[1], b"".join(parts)) if whole else None


def reference(file_hash: str) -> str:
    """Return the text that stands for a stored file in a stored request."""
    return f"{_REFERENCE}{file_hash}"


def hash_in(text: str) -> str | None:
    """Return the hash in a reference; None if the text is no reference."""
    return text.removeprefix(_REFERENCE) if text.startswith(_REFERENCE) else None


def content_type_of(body: bytes) -> str | None:
    """Return the content type that a file's first bytes show; None if its kind is not known."""
    for beginning, content_type in _BEGINNINGS:
        if body.startswith(beginning):
            return content_type
    if body.startswith(b"RIFF"):
        return _RIFF.get(body[8:12])
    if body[4:8] == b"ftyp":
        return _BRANDS.get(body[8:12], "video/mp4")
    # MP3 without tags begins with a frame: 11 bits of ones, and layer III (ISO/IEC 11172-3, 2.4.2).
    frame = int.from_bytes(body[:2])
    is_mp3 = len(body) > 2 and frame & _MP3_SYNC == _MP3_SYNC and frame & _MP3_LAYER == _MP3_LAYER_3
    return "audio/mpeg" if is_mp3 else None


def judged(file: File, kind: str) -> File | None:
    """Return the file with the type that its bytes show; None if that is not of this kind.

    The kind is "image", "video" or "audio".
    """
    found = content_type_of(file.body)
    if found is not None and kind == "audio":
        found = _AUDIO_ALONE.get(found, found)
    if found is None or not found.startswith(f"{kind}/"):
        return None
    return file if found == file.content_type else File(found, file.body)
