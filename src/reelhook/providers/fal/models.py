"""The arguments of fal's video apps, and their limits.

Each app has its own schema. These come from the apps' pages at fal.ai
(`/models/APP/llms.txt`, November 2026); limits that a page does not state are left open. Any other
app gets the usual names of arguments; `providerOptions` sets arguments with other names.

The usual names are those of `bytedance/seedance-2.0/image-to-video` and `.../reference-to-video`
(fal.ai/docs/model-api-reference). Other names come from the pages of
`fal-ai/kling-video/v2.5-turbo/pro/image-to-video`, `fal-ai/kling-video/v3/pro/image-to-video`,
`fal-ai/kling-video/o3/pro/reference-to-video` and `fal-ai/veo3.1/fast/first-last-frame-to-video`,
and from those of the image apps below.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from reelhook.domain.media_limits import ImageLimits
from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.prices import PRICES
from reelhook.providers.http.field_names import FieldNames
from reelhook.providers.http.json_fields import encodable, number
from reelhook.providers.http.request_fields import merged, refusal

_NONE: tuple[str, ...] = ()
_WIDE_OR_HIGH = ("16:9", "9:16")
_KLING = ("16:9", "9:16", "1:1")
_SEEDANCE_RESOLUTIONS = ("480p", "720p", "1080p")
_SEEDANCE = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")


def _text_to_video(
    name: str,
    seconds: tuple[str, ...] | None,
    ratios: tuple[str, ...] | None,
    resolutions: tuple[str, ...] | None = _NONE,
    *,
    audio: bool = False,
    negative_prompt: bool = False,
    seed: bool = True,
) -> Model:
    return Model(
        name,
        seconds=seconds,
        sizes=_NONE,
        aspect_ratios=ratios,
        image=Image.NONE,
        seed=seed,
        resolutions=resolutions,
        audio=audio,
        negative_prompt=negative_prompt,
        last_frame=False,
        reference_images_max=0,
        reference_videos_max=0,
        reference_audios_max=0,
        price=PRICES.get(name),
    )


MODELS = (
    _text_to_video(
        "fal-ai/veo3/fast",
        ("4", "6", "8"),
        _WIDE_OR_HIGH,
        ("720p", "1080p"),
        audio=True,
        negative_prompt=True,
    ),
    _text_to_video("fal-ai/veo2", ("5", "6", "7", "8"), _WIDE_OR_HIGH, negative_prompt=True),
    _text_to_video(
        "fal-ai/kling-video/o3/pro/text-to-video",
        tuple(map(str, range(3, 16))),
        _KLING,
        audio=True,
        seed=False,
    ),
    _text_to_video(
        "fal-ai/kling-video/v4/text-to-video",
        tuple(map(str, range(3, 31))),
        None,
        None,
        audio=True,
        negative_prompt=True,
    ),
    _text_to_video(
        "fal-ai/bytedance/seedance/v1/pro/text-to-video", None, _SEEDANCE, _SEEDANCE_RESOLUTIONS
    ),
    _text_to_video(
        "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video",
        None,
        _SEEDANCE,
        _SEEDANCE_RESOLUTIONS,
    ),
    Model(
        "fal-ai/kling-video/v4/image-to-video",
        image=Image.REQUIRED,
        images=ImageLimits(300, None, 0.4, 2.5, 30_000_000, first_only=True),
    ),
    Model(
        "fal-ai/kling-video/o1/standard/image-to-video",
        seconds=tuple(map(str, range(3, 11))),
        sizes=_NONE,
        aspect_ratios=_NONE,
        image=Image.REQUIRED,
        seed=False,
        resolutions=_NONE,
        negative_prompt=False,
        audio=False,
        reference_images_max=0,
        reference_videos_max=0,
        reference_audios_max=0,
        images=ImageLimits(300, None, 0.4, 2.5, 10_000_000, first_only=True),
    ),
    Model(
        "fal-ai/veo2/image-to-video",
        image=Image.REQUIRED,
        images=ImageLimits(bytes_max=8_000_000, first_only=True),
    ),
)

_USUAL = FieldNames(
    image="image_url",
    last_frame="end_image_url",
    reference_images="image_urls",
    reference_videos="video_urls",
    reference_audios="audio_urls",
)
_NAMES: tuple[tuple[str, FieldNames], ...] = (
    # By a part of the app's name.
    (
        "/first-last-frame-to-video",
        replace(_USUAL, image="first_frame_url", last_frame="last_frame_url"),
    ),
    (r"/kling-video/(v1\.6|v2\.1|v2\.5-turbo)/", replace(_USUAL, last_frame="tail_image_url")),
    (
        r"/kling-video/(v[34]/|o1/standard/image-to-video|o3/\w+/reference-to-video)",
        replace(_USUAL, image="start_image_url"),
    ),
)

Seconds = Callable[[str], object]
_SECONDS: tuple[tuple[str, Seconds], ...] = (
    # By the start of the app's name: Google's apps take "8s", some of Kling's an integer.
    ("fal-ai/veo", lambda seconds: f"{seconds}s"),
    ("fal-ai/kling-video/v4/", int),
)


def names_of(app: str) -> FieldNames:
    """Return the names of the arguments of an app; the usual names if it is unknown."""
    return next((names for part, names in _NAMES if re.search(part, app)), _USUAL)


def refusal_before_sending(request: VideoRequest) -> Refused | None:
    """Return why the arguments of an app can't express a request."""
    names = names_of(request.model)
    return refusal(request, "fal", names.of_fields, names.parameters(request))


def arguments(request: VideoRequest) -> dict[str, object]:
    """Return the arguments of an app: the common parameters over the user's options."""
    names = names_of(request.model)
    common = {
        **names.parameters(request),
        names.prompt: encodable(request.prompt),
        names.seconds: request.seconds and _duration(request.model, request.seconds),
        names.aspect_ratio: aspect_ratio_for(request),
        names.image: request.image,
        names.seed: request.seed,
    }
    return merged(request.options, common)


def _duration(model: str, seconds: str) -> object:
    if number(seconds) is None:
        return seconds
    convert: Seconds = next((form for start, form in _SECONDS if model.startswith(start)), str)
    return convert(seconds)
