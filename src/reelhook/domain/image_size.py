"""The pixels of an image, read from its header without decoding it."""

import struct

_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The markers SOF0 to SOF15 without DHT, JPG and DAC (ITU-T T.81, table B.1)."""
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SEGMENTS_MAX = 1000


def pixels_of(body: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, JPEG, GIF or WebP; None if they are not known."""
    try:
        if body.startswith(b"\x89PNG\r\n\x1a\n"):  # RFC 2083, section 4.1.1
            size = struct.unpack(">II", body[16:24])
        elif body.startswith((b"GIF87a", b"GIF89a")):  # GIF89a, section 18
            size = struct.unpack("<HH", body[6:10])
        elif body[:4] == b"RIFF" and body[8:12] == b"WEBP":
            size = _webp(body)
        elif body.startswith(b"\xff\xd8\xff"):
            size = _jpeg(body)
        else:
            return None
    except (struct.error, IndexError):
        return None
    width, height = size
    return (width, height) if width and height else None


def _webp(body: bytes) -> tuple[int, int]:
    """Return the size in the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    match body[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(body[24:27], "little"), 1 + int.from_bytes(
                body[27:30], "little"
            )
        case b"VP8L":
            bits = int.from_bytes(body[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack("<HH", body[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return 0, 0


def _jpeg(body: bytes) -> tuple[int, int]:
    """Return the size in the frame header (ITU-T T.81, B.2.2)."""
    place = 2
    for _ in range(_SEGMENTS_MAX):
        if body[place] != 0xFF:
            break
        marker = body[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_ALONE:
            place += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", body[place + 5 : place + 9])
            return width, height
        else:
            place += 2 + struct.unpack(">H", body[place + 2 : place + 4])[0]
    return 0, 0
