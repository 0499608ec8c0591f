"""The fields of requests at Runway, compared with the types of its official SDK."""

from typing import Any, get_args, get_type_hints

import pytest
from runwayml.types.image_to_video_create_params import ImageToVideoCreateParams
from runwayml.types.text_to_video_create_params import TextToVideoCreateParams

from providers.upstreams import Upstream
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model, ratio_of
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.runway.provider import Runway
from reelhook.providers.runway.request import body_of, refusal_before_sending

IMAGE = "https://example.com/fox.png"
VIDEO = "https://example.com/fox.mp4"


def _variants(union: object) -> dict[str, dict[str, Any]]:
    hints = [get_type_hints(variant) for variant in get_args(union)]
    return {get_args(one["model"])[0]: one for one in hints}


def _limits(name: str) -> Model:
    return next(model for model in Runway.models if model.name == name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _last_frames(variant: dict[str, Any]) -> bool:
    """Return True if a list of images may have a last one; some lists have no stated form."""
    [images] = [one for one in get_args(variant["prompt_image"]) if one is not str]
    [item] = get_args(images)
    return item is object or "last" in get_args(get_type_hints(item)["position"])


def test_the_models_take_the_fields_that_the_sdk_has() -> None:
    texts, images = _variants(TextToVideoCreateParams), _variants(ImageToVideoCreateParams)
    for model in Runway.models:
        image = images[model.name]
        both = {**image, **texts.get(model.name, {})}
        assert model.negative_prompt == ("negative_prompt" in both), model
        assert model.audio == ("audio" in both), model
        assert model.last_frame == _last_frames(image), model
        assert (model.reference_images_max != 0) == ("references" in both), model
        assert (model.reference_videos_max != 0) == ("reference_videos" in both), model
        assert (model.reference_audios_max != 0) == ("reference_audio" in both), model
        assert not model.references_or_frames or "references" not in image, model
        named = {name.lower() for name in get_args(both.get("resolution"))}
        assert named <= set(model.resolutions or ()), model


FIELDS: dict[str, dict[str, Any]] = {
    "negative_prompt": {"negative_prompt": "blur"},
    "audio": {"audio": False},
    "last_frame": {"last_frame": IMAGE},
    "reference_images_max": {"reference_images": (IMAGE,)},
    "reference_videos_max": {"reference_videos": (VIDEO,)},
    "reference_audios_max": {"reference_audios": (VIDEO,)},
}


def test_a_body_has_no_field_that_the_sdk_lacks() -> None:
    for union, image in ((TextToVideoCreateParams, None), (ImageToVideoCreateParams, IMAGE)):
        for variant in get_args(union):
            hints = get_type_hints(variant)
            [name] = get_args(hints["model"])
            limits = _limits(name)
            wanted = [fields for known, fields in FIELDS.items() if getattr(limits, known) != 0]
            wanted += [{"resolution": one} for one in limits.resolutions or ()]
            for fields in wanted:
                request = VideoRequest(prompt="A fox", model=name, image=image, **fields)
                try:
                    limits.check(request, name)
                except InvalidRequestError:
                    continue
                if refusal_before_sending(request, limits) is None:
                    body = body_of(request, limits)
                    assert body.keys() <= {_camel(key) for key in hints}, (name, fields)
                    if "ratio" in body:
                        assert body["ratio"] in get_args(hints["ratio"])


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"model": "veo3.1", "resolution": "1080p"}, {"ratio": "1920:1080"}),
        ({"model": "seedance2", "resolution": "480p"}, {"ratio": "864:496"}),
        (
            {"model": "veo3.1", "resolution": "1080p", "aspect_ratio": "16:9"},
            {"ratio": "1920:1080"},
        ),
        ({"model": "seedance2", "resolution": "4k", "aspect_ratio": "1:1"}, {"ratio": "3840:3840"}),
        ({"model": "seedance2", "resolution": "480p", "aspect_ratio": "1:1"}, {"ratio": "640:640"}),
        ({"model": "wan3", "resolution": "1080p", "image": IMAGE}, {"ratio": "auto_1080p"}),
        ({"model": "happyhorse_1_0", "resolution": "720p", "image": IMAGE}, {"resolution": "720p"}),
        ({"model": "wan3", "size": "720x544", "image": IMAGE}, {"ratio": "auto_480p"}),
        ({"model": "kling_4", "size": "2200x940", "image": IMAGE}, {"ratio": "auto_1080p"}),
        (
            {"model": "grok_imagine_1_5_lite", "size": "1280x720", "image": IMAGE},
            {"ratio": "auto_720p"},
        ),
        (
            {"model": "happyhorse_1_0", "size": "1920x1080", "image": IMAGE},
            {"resolution": "1080p"},
        ),
        ({"model": "hailuo3", "resolution": "2k"}, {"resolution": "2k"}),
        (
            {"model": "gemini_omni_flash_1.1", "reference_videos": (VIDEO,)},
            {"referenceVideos": [{"uri": VIDEO}]},
        ),
        (
            {"model": "wan3", "reference_videos": (VIDEO,)},
            {"referenceVideos": [{"type": "video", "uri": VIDEO}]},
        ),
    ],
)
def test_a_field_becomes_the_parameter_of_the_model(
    asked: dict[str, Any], sent: dict[str, object]
) -> None:
    limits = _limits(asked["model"])
    request = VideoRequest(prompt="A fox", **asked)
    limits.check(request, request.model)
    assert refusal_before_sending(request, limits) is None
    assert sent.items() <= body_of(request, limits).items()


def test_a_resolution_alone_buys_a_wide_video() -> None:
    for model in Runway.models:
        for resolution in (model.sizes and model.resolutions) or ():
            request = VideoRequest("A fox", model=model.name, resolution=resolution)
            ratio = str(body_of(request, model)["ratio"])
            assert ratio_of(ratio.replace(":", "x")) == "16:9", (model.name, ratio)


def test_a_shape_next_to_an_image_is_never_dropped() -> None:
    """The models are those whose `image_to_video` has no size."""
    images = _variants(ImageToVideoCreateParams)
    for model in Runway.models:
        ratios = get_args(images[model.name].get("ratio"))
        shaped = all(str(ratio).startswith("auto") for ratio in ratios) or "auto_720p" in ratios
        assert model.image_sets_ratio == (shaped and bool(model.sizes or model.aspect_ratios))
        if not model.image_sets_ratio:
            continue
        wide = VideoRequest("A fox", model=model.name, image=IMAGE, aspect_ratio="16:9")
        with pytest.raises(InvalidRequestError, match="the ratio of its image"):
            model.check(wide, model.name)
        for size in model.sizes or ():
            request = VideoRequest("A fox", model=model.name, image=IMAGE, size=size)
            model.check(request, model.name)
            sent = body_of(request, model).keys() & {"ratio", "resolution"}
            assert sent or refusal_before_sending(request, model), model.name


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model": "veo3.1", "last_frame": IMAGE}, "only after a first image"),
        ({"model": "klingO3_pro", "reference_images": (IMAGE,)}, "only next to a first image"),
        (
            {"model": "kling2.5_turbo_pro", "resolution": "720p", "image": IMAGE},
            "kling2.5_turbo_pro at Runway has no parameter for resolution",
        ),
        (
            {"model": "kling2.5_turbo_pro", "size": "1280x720", "image": IMAGE},
            "kling2.5_turbo_pro takes no size next to an image",
        ),
        (
            {"model": "gen4.5", "resolution": "720p", "aspect_ratio": "5:4"},
            "has no size of 720p with the ratio 5:4",
        ),
        (
            {"model": "veo3.1", "resolution": "720p", "options": {"ratio": "1920:1080"}},
            "resolution and ratio in providerOptions contradict each other",
        ),
        (
            {"model": "new", "negative_prompt": "a", "options": {"negativePrompt": "b"}},
            "negativePrompt and negativePrompt in providerOptions contradict each other",
        ),
    ],
)
async def test_an_impossible_combination_is_refused_unpaid(
    server: Upstream, asked: dict[str, Any], message: str
) -> None:
    async with Runway(server.url, "key") as runway:
        outcome = await runway.submit(VideoRequest(prompt="A fox", **asked))
    assert isinstance(outcome, Refused)
    assert message in outcome.message
    assert server.posts == 0
