"""What a model can't do is refused before anything is paid, in words that say what it can."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import (
    Image,
    Model,
    aspect_ratio_for,
    check_agreement,
    lines_of,
    ratio_of,
)
from reelhook.domain.request import VideoRequest

ASKED = VideoRequest(prompt="A fox", model="m")
IMAGE = "https://i.example/fox.png"
SIZED = Model("m", sizes=("1280x720", "720x1280"), aspect_ratios=())
SHAPED = Model("m", sizes=(), aspect_ratios=("16:9", "1:1"))


def refusal(model: Model, **fields: Any) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as told:
        model.check(replace(ASKED, **fields), "ark/m")
    return told.value.field, told.value.message


@pytest.mark.parametrize(
    ("model", "fields", "field", "words"),
    [
        (
            Model("m", seconds=("5", "8")),
            {"seconds": "4"},
            "seconds",
            "seconds of ark/m must be one of 5, 8, not 4",
        ),
        (
            Model("m", seconds=()),
            {"seconds": "4"},
            "seconds",
            "ark/m takes no seconds; leave seconds out",
        ),
        (
            SIZED,
            {"size": "1x1"},
            "size",
            "size of ark/m must be one of 1280x720, 720x1280, not 1x1",
        ),
        (
            SIZED,
            {"aspect_ratio": "1:1"},
            "aspect_ratio",
            "aspect_ratio of ark/m must be one of 16:9, 9:16, not 1:1",
        ),
        (
            SHAPED,
            {"size": "720x1280"},
            "size",
            "size of ark/m must have one of the ratios 16:9, 1:1, not 9:16",
        ),
        (
            SHAPED,
            {"aspect_ratio": "9:16"},
            "aspect_ratio",
            "aspect_ratio of ark/m must be one of 16:9, 1:1, not 9:16",
        ),
        (
            Model("m", sizes=(), aspect_ratios=()),
            {"size": "1280x720"},
            "size",
            "ark/m takes no size; leave size out",
        ),
        (
            Model("m", image=Image.NONE),
            {"image": IMAGE},
            "image",
            "ark/m takes no image; leave image out",
        ),
        (
            Model("m", image=Image.REQUIRED),
            {},
            "image",
            "ark/m begins with an image; give image",
        ),
        (Model("m", seed=False), {"seed": 0}, "seed", "ark/m takes no seed; leave seed out"),
        (
            Model("m", audio=False),
            {"audio": False},
            "audio",
            "ark/m takes no audio; leave audio out",
        ),
        (
            Model("m", resolutions=("720p",)),
            {"resolution": "4k"},
            "resolution",
            "resolution of ark/m must be one of 720p, not 4k",
        ),
        (
            Model("m", reference_images_max=1),
            {"reference_images": (IMAGE, IMAGE)},
            "reference_images",
            "ark/m takes at most 1 reference_images, not 2",
        ),
        (
            Model("m", reference_audios_max=0),
            {"reference_audios": (IMAGE,)},
            "reference_audios",
            "ark/m takes no reference_audios; leave reference_audios out",
        ),
        (
            Model("m", prompt_characters_max=10),
            {"prompt": "Slow\n\nA fox"},
            "prompt",
            "ark/m takes a prompt of at most 10 characters, not 11",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_the_model_takes(
    model: Model, fields: dict[str, Any], field: str, words: str
) -> None:
    assert refusal(model, **fields) == (field, words)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Model("m"), {"seconds": "999", "size": "1x1", "seed": 1, "image": IMAGE}),
        (Model("m", seconds=("5",)), {"seconds": "5"}),
        (Model("m", seconds=("5",)), {}),
        (SIZED, {"size": "1280x720"}),
        (SIZED, {"aspect_ratio": "9:16"}),
        (SIZED, {"size": "1280x720", "aspect_ratio": "16:9"}),
        (SHAPED, {"size": "1920x1080"}),
        (SHAPED, {"size": "1280x720", "aspect_ratio": "16:9"}),
        (Model("m", image=Image.REQUIRED), {"image": IMAGE}),
        (Model("m", prompt_characters_max=5), {}),
    ],
)
def test_what_a_model_takes_passes(model: Model, fields: dict[str, Any]) -> None:
    model.check(replace(ASKED, **fields), "ark/m")


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("1280x720", "16:9"),
        ("720x1280", "9:16"),
        ("1104x832", "4:3"),
        ("832x1104", "3:4"),
        ("960x960", "1:1"),
        ("1584x672", "21:9"),
        ("1024x1792", "9:16"),
        ("1000x700", "10:7"),
        ("99999x1", "99999:1"),
    ],
)
def test_a_size_has_the_ratio_that_it_comes_near(size: str, ratio: str) -> None:
    assert ratio_of(size) == ratio


@given(st.integers(1, 99_999), st.integers(1, 99_999))
def test_every_size_has_a_ratio(width: int, height: int) -> None:
    across, down = map(int, ratio_of(f"{width}x{height}").split(":"))
    assert abs(across / down - width / height) <= 0.03 * across / down


def test_a_ratio_is_the_one_that_was_asked_for_or_the_size_s() -> None:
    assert aspect_ratio_for(ASKED) is None
    assert aspect_ratio_for(replace(ASKED, aspect_ratio="5:4")) == "5:4"
    assert aspect_ratio_for(replace(ASKED, size="1280x720")) == "16:9"


def test_a_size_is_the_one_that_was_asked_for_or_the_first_of_the_ratio() -> None:
    sized = Model("m", sizes=("1280x720", "1920x1080", "720x1280"))
    assert sized.size_for(ASKED) is None
    assert sized.size_for(replace(ASKED, size="2x2")) == "2x2"
    assert sized.size_for(replace(ASKED, aspect_ratio="16:9")) == "1280x720"
    assert sized.size_for(replace(ASKED, aspect_ratio="1:1")) is None


def test_where_the_image_sets_the_ratio_none_can_be_asked_for() -> None:
    model = replace(SHAPED, image_sets_ratio=True)
    model.check(replace(ASKED, aspect_ratio="16:9"), "ark/m")
    model.check(replace(ASKED, image=IMAGE), "ark/m")
    words = "ark/m gives the video the ratio of its image; leave {} out"
    assert refusal(model, image=IMAGE, aspect_ratio="16:9") == (
        "aspect_ratio",
        words.format("aspect_ratio"),
    )
    assert refusal(model, image=IMAGE, size="720x720") == ("size", words.format("size"))


def test_where_the_image_sets_the_ratio_a_size_may_still_set_the_resolution() -> None:
    model = Model("m", sizes=("1280x720",), aspect_ratios=(), image_sets_ratio=True)
    model.check(replace(ASKED, image=IMAGE, size="1280x720"), "m")
    assert refusal(model, image=IMAGE, size="720x720")[0] == "size"
    assert refusal(model, image=IMAGE, aspect_ratio="16:9")[0] == "aspect_ratio"


@pytest.mark.parametrize("field", ["reference_images", "reference_videos", "reference_audios"])
@pytest.mark.parametrize("frame", ["image", "last_frame"])
def test_some_models_take_references_or_frames(field: str, frame: str) -> None:
    fields = {field: (IMAGE,), frame: IMAGE}
    Model("m").check(replace(ASKED, **fields), "ark/m")  # type: ignore[arg-type]  # by name
    either = Model("m", references_or_frames=True)
    either.check(replace(ASKED, **{field: (IMAGE,)}), "ark/m")  # type: ignore[arg-type]  # by name
    assert refusal(either, **fields) == (
        field,
        "ark/m takes references or a first and a last image, not both; leave " + f"{field} out",
    )


def test_references_may_take_the_place_of_a_required_image() -> None:
    model = Model("m", image=Image.REQUIRED, references_or_frames=True)
    model.check(replace(ASKED, reference_images=(IMAGE,)), "ark/m")
    assert refusal(model)[0] == "image"
    other = replace(model, references_or_frames=False)
    assert refusal(other, reference_images=(IMAGE,))[0] == "image"


@pytest.mark.parametrize(
    ("resolution", "size", "agree"),
    [
        ("720p", "1280x720", True),
        ("720p", "720x1280", True),
        ("4k", "3840x2160", True),
        ("2k", "2560x1440", True),
        ("1080p", "1280x720", False),
        ("4k", "1920x1080", False),
    ],
)
def test_a_size_and_a_resolution_must_agree(resolution: str, size: str, agree: bool) -> None:
    request = replace(ASKED, size=size, resolution=resolution)
    if agree:
        check_agreement(request)
        return
    with pytest.raises(InvalidRequestError) as told:
        check_agreement(request)
    assert told.value.field == "resolution"


@given(st.from_regex("[1-9][0-9]{2,3}p|[1-9]k", fullmatch=True))
def test_every_resolution_has_lines(resolution: str) -> None:
    assert lines_of(resolution) > 0
