"""The media of a request, and its files apart from it."""

from dataclasses import replace
from typing import Any

import pytest

from reelhook.core.request_files import put_back, taken_out
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import FILES_BYTES_MAX, File, reference
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest, check_request
from reelhook.domain.request_match import as_sent
from reelhook.domain.request_media import media_of, stored_files

PNG = File("image/png", b"\x89PNG\r\n\x1a\n" + b"png" * 50_000)
MP4 = File("video/mp4", b"\0\0\0\x20ftypisom")
GIF = File("image/gif", b"GIF89a")
FULL = VideoRequest(
    "A fox",
    image=PNG.uri,
    last_frame="https://example.com/last.png",
    reference_images=("https://example.com/a.png", PNG.uri),
    reference_videos=(MP4.uri,),
    reference_audios=("https://example.com/a.mp3",),
)


async def test_the_files_of_a_request_are_taken_out_and_put_back() -> None:
    stored, files = await taken_out(FULL)
    assert files == (PNG, MP4)
    assert stored.image == reference(PNG.hash)
    assert stored.last_frame == FULL.last_frame
    assert stored_files(stored) == [PNG.hash, MP4.hash]
    assert await put_back(stored, {file.hash: file for file in files}) == FULL
    with pytest.raises(KeyError):
        await put_back(stored, {PNG.hash: PNG})


async def test_a_request_without_files_is_unchanged() -> None:
    urls = VideoRequest("A fox", image="https://example.com/a.png")
    assert await taken_out(urls) == (urls, ())
    assert await put_back(urls, {}) is urls


async def test_an_inline_image_of_an_earlier_version_is_sent_as_it_is() -> None:
    assert await put_back(FULL, {}) is FULL


async def test_equal_files_make_equal_requests_and_others_do_not() -> None:
    stored = [(await taken_out(replace(FULL, image=image)))[0] for image in (PNG.uri, PNG.uri)]
    other, _ = await taken_out(replace(FULL, image=GIF.uri))
    assert as_sent(stored[0]) == as_sent(stored[1]) != as_sent(other)


async def test_a_file_has_one_hash_whatever_type_the_client_named() -> None:
    named = replace(FULL, image=PNG.uri.replace("image/png", "image/jpeg"))
    assert await taken_out(named) == await taken_out(FULL)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": "data:image/png;base64,aGVsbG8gd29ybGQ="}, "image"),
        ({"last_frame": MP4.uri.replace("video", "image")}, "last_frame"),
        ({"reference_videos": (MP4.uri, GIF.uri.replace("image", "video"))}, "reference_videos.1"),
        ({"reference_audios": (GIF.uri.replace("image", "audio"),)}, "reference_audios.0"),
    ],
)
async def test_bytes_of_another_kind_are_refused_by_their_field(
    fields: dict[str, Any], field: str
) -> None:
    wrong = replace(FULL, **fields)
    check_request(wrong)
    with pytest.raises(InvalidRequestError, match="by its bytes") as caught:
        await taken_out(wrong)
    assert (caught.value.field, caught.value.problem) == (field, Problem.OTHER_BYTES)


@pytest.mark.parametrize("length", [5, 100_001])
async def test_wrong_base64_is_refused_by_its_field(length: int) -> None:
    uri = "data:image/png;base64," + "A" * length
    wrong = replace(FULL, reference_images=(PNG.uri, uri))
    check_request(wrong)
    with pytest.raises(InvalidRequestError) as caught:
        await taken_out(wrong)
    assert (caught.value.field, caught.value.problem) == (
        "reference_images.1",
        Problem.NOT_AN_IMAGE,
    )


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (PNG.uri.replace("image", "video"), Problem.NOT_AN_IMAGE),
        ("data:" + "A" * 1_000_000, Problem.NOT_AN_IMAGE),
        ("https://example.com/" + "a" * 70_000, Problem.TOO_LONG),
        (reference(PNG.hash), Problem.NOT_AN_IMAGE),
    ],
)
def test_no_client_names_a_stored_file_or_another_kind(image: str, problem: Problem) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_request(replace(FULL, image=image))
    assert (caught.value.field, caught.value.problem) == ("image", problem)


def test_all_files_together_have_a_limit() -> None:
    half = "data:image/png;base64," + "A" * (FILES_BYTES_MAX * 2 // 3)
    check_request(replace(FULL, image=half, reference_images=()))
    with pytest.raises(InvalidRequestError, match="64 MiB together"):
        check_request(replace(FULL, image=half, reference_images=(half,)))
    assert len(list(media_of(FULL))) == 6
