"""The arguments of fal's video apps, and their limits.

Each app has its own schema. These come from the apps' pages at fal.ai
(`/models/APP/llms.txt`, November 2026); limits that a page does not state are left open. Any other
app gets the common names of arguments; `providerOptions` sets arguments with other names.
"""

from collections.abc import Callable

from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.prices import PRICES
from reelhook.providers.http.json_fields import encodable, number
from reelhook.providers.http.request_fields import merged

_NONE: tuple[str, ...] = ()
_WIDE_OR_HIGH = ("16:9", "9:16")
_KLING = ("16:9", "9:16", "1:1")
_SEEDANCE = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")


def _text_to_video(
    name: str, seconds: tuple[str, ...] | None, ratios: tuple[str, ...] | None
) -> Model:
    return Model(
        name,
        seconds=seconds,
        sizes=_NONE,
        aspect_ratios=ratios,
        image=Image.NONE,
        price=PRICES.get(name),
    )


MODELS = (
    _text_to_video("fal-ai/veo3/fast", ("4", "6", "8"), _WIDE_OR_HIGH),
    _text_to_video("fal-ai/veo2", ("5", "6", "7", "8"), _WIDE_OR_HIGH),
    _text_to_video(
        "fal-ai/kling-video/o3/pro/text-to-video", tuple(map(str, range(3, 16))), _KLING
    ),
    _text_to_video("fal-ai/kling-video/v4/text-to-video", tuple(map(str, range(3, 31))), None),
    _text_to_video("fal-ai/bytedance/seedance/v1/pro/text-to-video", None, _SEEDANCE),
    _text_to_video("fal-ai/bytedance/seedance/v1/pro/fast/text-to-video", None, _SEEDANCE),
)

Seconds = Callable[[str], object]
_SECONDS: tuple[tuple[str, Seconds], ...] = (
    # By the start of the app's name: Google's apps take "8s", some of Kling's an integer.
    ("fal-ai/veo", lambda seconds: f"{seconds}s"),
    ("fal-ai/kling-video/v4/", int),
)


def arguments(request: VideoRequest) -> dict[str, object]:
    """Return the arguments of an app: the common parameters over the user's options."""
    common = {
        "prompt": encodable(request.prompt),
        "duration": None if request.seconds is None else _duration(request.model, request.seconds),
        "aspect_ratio": aspect_ratio_for(request),
        "image_url": request.image,
        "seed": request.seed,
    }
    return merged(request.options, common)


def _duration(model: str, seconds: str) -> object:
    if number(seconds) is None:
        return seconds
    convert: Seconds = next((form for start, form in _SECONDS if model.startswith(start)), str)
    return convert(seconds)
