"""What goes out of another server's head, and what of it is believed."""

from collections.abc import AsyncIterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.byte_range import Range
from reelhook.domain.errors import ProviderError
from reelhook.doors.file_response import FileDownload, file_download, is_version
from reelhook.ports import Content

VIDEO = bytes(range(100))


def came(
    status: int,
    headers: Mapping[str, str] | None = None,
    asked: str | None = None,
    body: bytes = VIDEO,
) -> FileDownload:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    return file_download(Content(status, headers or {}, chunks()), Range.read(asked))


async def bytes_of(file: FileDownload) -> bytes:
    return b"".join([chunk async for chunk in file.chunks])


# -- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "type_"),
    [
        ("video/mp4", "video/mp4"),
        ("Video/WebM; codecs=vp9", "video/webm"),
        ("video/x-matroska", "video/x-matroska"),
        ("image/webp", "image/webp"),
        *(("image/svg+xml", "application/octet-stream"), ("IMAGE/SVG", "application/octet-stream")),
        ("image/svg+xml;charset=utf-8", "application/octet-stream"),
        ("image/x.thing+xml", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
        ("text/html;video/mp4", "application/octet-stream"),
        ("video/mp4, text/html", "application/octet-stream"),
        ("video/mp4\r\nX: y", "application/octet-stream"),
        ("video/", "application/octet-stream"),
        ("video/\u20ac", "application/octet-stream"),
        ("multipart/byteranges; boundary=x", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_type_is_one_that_no_browser_runs(sent: str, type_: str) -> None:
    assert came(200, {"Content-Type": sent}).headers["Content-Type"] == type_


def test_a_browser_guesses_and_runs_nothing() -> None:
    for file in (came(200), came(416, asked="bytes=200-")):
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert file.headers["Content-Security-Policy"] == "sandbox"


NAMES = ["Content-Type", "Content-Length", "Content-Range", "ETag", "Last-Modified"]


@given(
    st.dictionaries(st.sampled_from([*NAMES, "Accept-Ranges", "Set-Cookie", "X\n"]), st.text()),
    st.sampled_from([200, 206, 416, 204, 304]),
    st.sampled_from([None, "bytes=0-", "bytes=-5", "bytes=0-1,4-5", "x=1-2"]),
)
def test_whatever_a_head_says_the_answer_can_be_sent(
    headers: dict[str, str], status: int, asked: str | None
) -> None:
    try:
        file = came(status, headers, asked)
    except ProviderError:
        return
    for name, value in file.headers.items():
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()
    assert "Set-Cookie" not in file.headers


def test_what_is_well_formed_goes_along() -> None:
    given_ = {
        "etag": 'W/"a-1"',
        "last-modified": "Tue, 14 Nov 2023 22:13:25 GMT",
        "accept-ranges": "bytes",
        "content-length": "100",
    }
    sent = {name.lower(): value for name, value in came(200, given_).headers.items()}
    assert sent | given_ == sent


# -- ranges and lengths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("bytes=0-9", "bytes=0-9"),
        ("Bytes=5-", "bytes=5-"),
        ("bytes=-9", "bytes=-9"),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes=0-" + "9" * 19, None),
        ("seconds=1-2", None),
        ("", None),
    ],
)
def test_one_range_is_passed_on_and_anything_else_is_the_whole_file(
    asked: str, passed: str | None
) -> None:
    read = Range.read(asked)
    assert (None if read is None else str(read)) == passed


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("bytes=10-19", "bytes 10-19/100"),
        ("bytes=10-19", "bytes 10-19/*"),
        ("bytes=10-19", "bytes 10-14/100"),
        ("bytes=90-199", "bytes 90-99/100"),
        ("bytes=95-", "bytes 95-99/100"),
        ("bytes=-5", "bytes 95-99/100"),
        ("bytes=-500", "bytes 0-99/100"),
    ],
)
async def test_a_range_that_was_asked_for_goes_through(asked: str, sent: str) -> None:
    start, end = map(int, sent.split()[1].partition("/")[0].split("-"))
    file = came(206, {"Content-Range": sent}, asked, VIDEO[start : end + 1])
    assert (file.status, file.headers["Content-Range"]) == (206, sent)
    assert file.headers["Content-Length"] == str(end - start + 1)
    assert await bytes_of(file) == VIDEO[start : end + 1]


@pytest.mark.parametrize(
    ("asked", "headers"),
    [
        ("bytes=10-19", {}),
        ("bytes=10-19", {"Content-Range": "bytes 0-9/100"}),
        ("bytes=10-19", {"Content-Range": "bytes 10-20/100"}),
        ("bytes=10-19", {"Content-Range": "bytes 19-10/100"}),
        ("bytes=10-19", {"Content-Range": "bytes 10-19/15"}),
        ("bytes=10-19", {"Content-Range": "bytes 10-19/100", "Content-Length": "11"}),
        ("bytes=10-19", {"Content-Range": "bytes */100"}),
        ("bytes=10-19", {"Content-Range": "nonsense"}),
        ("bytes=-5", {"Content-Range": "bytes 0-4/100"}),
        (None, {"Content-Range": "bytes 10-19/100"}),
        (None, {"Content-Range": "bytes 0-99/*"}),
        (None, {}),
    ],
)
def test_a_part_that_was_not_asked_for_never_passes_for_one_that_was(
    asked: str | None, headers: dict[str, str]
) -> None:
    with pytest.raises(ProviderError):
        came(206, headers, asked)


async def test_the_whole_file_as_one_part_is_the_whole_file() -> None:
    file = came(206, {"Content-Range": "bytes 0-99/100"})
    assert (file.status, file.headers["Content-Length"]) == (200, "100")
    assert "Content-Range" not in file.headers
    assert await bytes_of(file) == VIDEO


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, 99),
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=7-13", 7, 13),
        ("bytes=90-199", 90, 99),
        ("bytes=99-", 99, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-500", 0, 99),
    ],
)
async def test_of_a_file_that_comes_whole_the_range_is_cut_out_here(
    asked: str, first: int, last: int
) -> None:
    file = came(200, {"Content-Length": "100", "Content-Range": "bytes 0-9/10"}, asked)
    assert file.status == 206
    assert file.headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert file.headers["Content-Length"] == str(last - first + 1)
    assert file.headers["Accept-Ranges"] == "bytes"
    assert await bytes_of(file) == VIDEO[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
async def test_a_file_that_comes_whole_has_nothing_behind_its_end(asked: str) -> None:
    file = came(200, {"Content-Length": "100"}, asked)
    assert (file.status, file.headers["Content-Range"]) == (416, "bytes */100")
    assert file.headers["Content-Length"] == "0"
    assert await bytes_of(file) == b""


async def test_a_file_of_unknown_length_is_sent_whole() -> None:
    file = came(200, {}, "bytes=0-9")
    assert file.status == 200
    assert not file.headers.keys() & {"Content-Range", "Accept-Ranges"}
    assert await bytes_of(file) == VIDEO


async def test_a_file_that_ends_before_the_range_it_announced_is_an_error() -> None:
    file = came(200, {"Content-Length": "150"}, "bytes=90-120")
    with pytest.raises(ProviderError, match="ended after 100 bytes"):
        await bytes_of(file)


async def test_what_is_behind_the_range_is_not_waited_for() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield VIDEO

    whole = Content(200, {"Content-Length": str(10**12)}, endless())
    assert await bytes_of(file_download(whole, Range.read("bytes=5-204"))) == (VIDEO * 3)[5:205]


@pytest.mark.parametrize(
    ("validator", "is_it"),
    [
        ('"a"', True),
        (' "a" ', True),
        ("Tue, 14 Nov 2023 22:13:25 GMT", True),
        ('"b"', False),
        ('W/"a"', False),
        ("Tue, 14 Nov 2023 22:13:26 GMT", False),
        ("", False),
    ],
)
def test_if_range_names_the_file_by_its_tag_or_its_date(validator: str, is_it: bool) -> None:
    headers = {"etag": '"a"', "Last-Modified": "Tue, 14 Nov 2023 22:13:25 GMT"}
    assert is_version(validator, headers) is is_it
    assert not is_version(validator, {})


def test_a_weak_tag_names_no_bytes() -> None:
    assert not is_version('W/"a"', {"ETag": 'W/"a"'})


@pytest.mark.parametrize("announced", ["99", "101", "0"])
async def test_more_or_fewer_bytes_than_announced_are_an_error(announced: str) -> None:
    file = came(200, {"Content-Length": announced})
    with pytest.raises(ProviderError, match="bytes that were announced"):
        await bytes_of(file)


@pytest.mark.parametrize("length", ["-1", "1e3", "0x64", "\u0661", "100, 100", "9" * 19])
async def test_a_length_that_is_no_number_is_none(length: str) -> None:
    file = came(200, {"Content-Length": length})
    assert "Content-Length" not in file.headers
    assert await bytes_of(file) == VIDEO


async def test_of_a_range_behind_the_end_nothing_of_the_servers_words_goes_out() -> None:
    sent = {"Content-Range": "bytes */100", "Content-Length": "9", "Content-Type": "text/html"}
    file = came(416, sent, "bytes=200-", b"<script/>")
    assert (file.status, file.headers["Content-Range"]) == (416, "bytes */100")
    assert file.headers["Content-Length"] == "0"
    assert await bytes_of(file) == b""
    with pytest.raises(ProviderError):
        came(416, sent)
