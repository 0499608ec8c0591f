"""Images that a model does not take, and files that no create can carry, are refused."""

import struct
from dataclasses import replace

import pytest

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import File, reference
from reelhook.domain.media_limits import ImageLimits, check_images, not_carried, not_inline
from reelhook.domain.request import VideoRequest

LIMITS = ImageLimits(300, 6000, 0.4, 2.5, 1_000_000)
MP4 = File("video/mp4", b"\0\0\0\x18ftypmp42" + b"x" * 100)
FOX = VideoRequest("A fox", "model")


def image(width: int, height: int, size: int = 100) -> File:
    """Return a PNG of these pixels, as far as its header shows."""
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return File("image/png", head + b"x" * (size - len(head)))


@pytest.mark.parametrize(
    ("file", "problem", "shown"),
    [
        (image(1280, 720), None, ""),
        (image(300, 300), None, ""),
        (image(299, 400), "image_sides", "299 x 400 pixels; acme/m takes .* 300 to 6000"),
        (image(6001, 3000), "image_sides", "6001 x 3000"),
        (image(2600, 1000), "image_ratio", r"ratio 2\.60.* 0\.4 to 2\.5; crop it"),
        (image(390, 1000), "image_ratio", r"0\.39"),
        (image(1280, 720, 1_200_000), "image_bytes", r"1\.2 MB; .* at most 1 MB"),
        (File("image/heic", b"unknown"), None, ""),
    ],
)
def test_an_image_must_be_within_the_limits(file: File, problem: str | None, shown: str) -> None:
    request = replace(FOX, reference_images=("https://h.example/1.png", reference(file.hash)))
    if problem is None:
        check_images(LIMITS, request, {file.hash: file}, "acme/m")
        return
    with pytest.raises(InvalidRequestError, match=shown) as caught:
        check_images(LIMITS, request, {file.hash: file}, "acme/m")
    assert (caught.value.field, caught.value.problem) == ("reference_images.1", problem)


def test_a_limit_that_is_not_known_refuses_nothing() -> None:
    file = image(1, 1000)
    request = replace(FOX, image=reference(file.hash))
    check_images(None, request, {file.hash: file}, "acme/m")
    check_images(ImageLimits(side_max=2000), request, {file.hash: file}, "acme/m")
    check_images(LIMITS, request, {}, "acme/m")


def test_limits_of_the_first_image_are_not_those_of_others() -> None:
    file = image(100, 100)
    limits = replace(LIMITS, first_only=True)
    check_images(limits, replace(FOX, last_frame=reference(file.hash)), {file.hash: file}, "m")
    with pytest.raises(InvalidRequestError):
        check_images(limits, replace(FOX, image=reference(file.hash)), {file.hash: file}, "m")


def test_a_file_above_its_limit_can_not_be_carried() -> None:
    files = {MP4.hash: MP4}
    request = replace(FOX, reference_videos=(reference(MP4.hash), "job:job_1"), image="job:job_1")
    assert not_inline(request, files, {}) == {}
    assert not_inline(request, files, {"video": 200}) == {}
    assert not_inline(request, files, {"video": 100}) == {"reference_videos.0": MP4.hash}
    assert not_inline(request, files, {"video": 0}) == {
        "reference_videos.0": MP4.hash,
        "reference_videos.1": "",
    }
    assert "at most 5 MB" in not_carried("image", "acme", 5_000_000).message
    assert "by its address only" in not_carried("reference_videos.0", "acme", 0).message
