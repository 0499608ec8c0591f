"""Files of requests: kinds by their bytes, and `data:` URIs."""

import random

import pytest

from reelhook.domain.media import File, content_type_of, file_of, judged

HEADS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "audio/wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "video/webm": b"\x1a\x45\xdf\xa3",
    "video/mp4": b"\0\0\0\x20ftypisom",
    "video/quicktime": b"\0\0\0\x14ftypqt  ",
    "audio/mp4": b"\0\0\0\x14ftypM4A ",
    "audio/mpeg": b"\xff\xfb\x90\x00",
    "audio/ogg": b"OggS\0\x02",
    "audio/flac": b"fLaC\0\0\0\x22",
    "image/avif": b"\0\0\0\x20ftypavif",
    "image/heic": b"\0\0\0\x18ftypheic",
}


@pytest.mark.parametrize("content_type", HEADS)
def test_the_bytes_show_the_kind(content_type: str) -> None:
    assert content_type_of(HEADS[content_type] + b"more") == content_type


@pytest.mark.parametrize(
    "body", [b"", b"<svg>", b"%PDF-1.7", b"MZ\x90", b"RIFF\0\0\0\0AVI ", b"\xff\xff\xff", b"PNG"]
)
def test_other_bytes_show_none(body: bytes) -> None:
    assert content_type_of(body) is None


@pytest.mark.parametrize(
    ("head", "kind", "content_type"),
    [
        ("image/jpeg", "image", "image/jpeg"),
        ("image/jpeg", "video", None),
        ("video/mp4", "video", "video/mp4"),
        ("video/mp4", "audio", "audio/mp4"),
        ("video/webm", "audio", "audio/webm"),
        ("video/quicktime", "audio", None),
        ("audio/mp4", "video", None),
        ("image/avif", "video", None),
    ],
)
def test_the_bytes_decide_the_type_whatever_the_client_named(
    head: str, kind: str, content_type: str | None
) -> None:
    found = judged(File(f"{kind}/x", HEADS[head]), kind)
    assert found == (content_type and File(content_type, HEADS[head]))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 3 * 2**18 - 1, 3 * 2**18, 3 * 2**18 + 1, 2_000_000])
def test_a_uri_is_the_file(size: int) -> None:
    file = File("image/png", random.Random(size).randbytes(size))
    assert file_of(file.uri) == file


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/a.png",
        "data:image/png,AAAA",
        "data:image/png;base64,AAA",
        "data:image/png;base64,AA=A",
        "data:image/png;base64,AA==AAAA",
        "data:image/png;base64,A A A A",
        "data:image/png;base64,\N{FOX FACE}AA",
        "data:image/png;base64," + "A" * (4 * 2**18 - 4) + "AA==" + "AAAA",
    ],
)
def test_no_other_text_is_one(uri: str) -> None:
    assert file_of(uri) is None
