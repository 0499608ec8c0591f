"""Runway's video models, their limits, and the body of a request.

From runwayml-python 5.24 (`types/text_to_video_create_params.py`,
`types/image_to_video_create_params.py`).
`ratio` there is a size, "1280:720"; two models take "16:9" and a `resolution` instead.
"""

from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.json_fields import encodable
from reelhook.providers.http.request_fields import duration, merged
from reelhook.providers.runway.prices import PRICES

SECONDS_DEFAULT = 5
"""The duration for models that require one."""

_NONE: tuple[str, ...] = ()


def _sizes(written: str) -> tuple[str, ...]:
    return tuple(size.replace(":", "x") for size in written.split())


def _up_to(least: int, most: int) -> tuple[str, ...]:
    return tuple(map(str, range(least, most + 1)))


_720P = _sizes("1280:720 720:1280")
_GEN4 = _sizes("1280:720 720:1280 1104:832 960:960 832:1104 1584:672")
_VEO = _sizes("1280:720 720:1280 1080:1920 1920:1080")
_KLING_720P = _sizes("1280:720 720:1280 960:960")
_KLING_1080P = _sizes("1920:1080 1080:1920 1440:1440")
_KLING_4K = _sizes("3840:2160 2160:3840 2880:2880")
_KLING_25 = _sizes("1920:1080 1440:1440 1080:1920 1280:720 720:720 720:1280")
_KLING_4 = _sizes("1280:720 720:1280 940:940 1460:624 1920:1080 1080:1920 1440:1440 2200:940")
_SEEDANCE_720P = _sizes(
    "1280:720 1112:834 960:960 834:1112 720:1280 1470:630"
    " 992:432 864:496 752:560 640:640 560:752 496:864"
)
_SEEDANCE_4K = _SEEDANCE_720P + _sizes(
    "2206:946 1920:1080 1664:1248 1440:1440 1248:1664 1080:1920"
    " 3840:1646 3840:2160 3840:2880 3840:3840 2880:3840 2160:3840"
)
_SEEDANCE_25 = _sizes(
    "1280:720 1112:834 960:960 834:1112 720:1280 1470:630"
    " 992:432 854:480 752:560 640:640 560:752 480:854"
    " 2206:946 1920:1080 1664:1248 1440:1440 1248:1664 1080:1920"
)
_HAPPYHORSE = _sizes(
    "1280:720 720:1280 960:960 1108:832 832:1108 1920:1080 1080:1920 1440:1440 1662:1248 1248:1662"
)
_WAN = _sizes(
    "1280:720 1104:832 960:960 832:1104 720:1280 832:480 720:544 624:624 544:720 480:832"
    " 1920:1080 1648:1248 1440:1440 1248:1648 1080:1920"
)
_OMNI = _sizes("1280:720 720:1280 640:360 360:640 1920:1080 1080:1920 3840:2160 2160:3840")
_GROK_LITE = _sizes(
    "1280:720 720:1280 720:720 960:720 720:960 1088:720 720:1088"
    " 848:480 480:848 480:480 640:480 480:640 720:480 480:720"
    " 1904:1072 1072:1904 1424:1424 1648:1232 1232:1648 1744:1152 1152:1744"
)


def _model(
    name: str,
    sizes: tuple[str, ...],
    *,
    seconds: tuple[str, ...] | None = None,
    seed: bool = False,
    prompt: int | None = None,
    image: Image = Image.OPTIONAL,
) -> Model:
    return Model(name, seconds, sizes, _NONE, image, seed, prompt, price=PRICES.get(name))


def _by_ratio(name: str, ratios: str) -> Model:
    return Model(name, None, _NONE, tuple(ratios.split()), seed=False, price=PRICES.get(name))


MODELS = (
    _model("gen4.5", _GEN4, seconds=_up_to(2, 10), seed=True, prompt=1000),
    _model("gen4_turbo", _GEN4, seed=True, prompt=1000, image=Image.REQUIRED),
    _model("veo3.1", _VEO, seconds=("4", "6", "8"), seed=True, prompt=1000),
    _model("veo3.1_fast", _VEO, seconds=("4", "6", "8"), seed=True, prompt=1000),
    _model("kling_4", _KLING_4),
    _model("kling3.0_standard", _KLING_720P),
    _model("kling3.0_pro", _KLING_1080P),
    _model("kling3.0_4k", _KLING_4K),
    _model("klingO3_standard", _KLING_720P),
    _model("klingO3_pro", _KLING_1080P),
    _model("klingO3_4k", _KLING_4K),
    _model("kling2.5_turbo_pro", _KLING_25, seconds=("5", "10")),
    _model("seedance2_5", _SEEDANCE_25, seed=True, prompt=15_000),
    _model("seedance2", _SEEDANCE_4K, seed=True, prompt=3500),
    _model("seedance2_fast", _SEEDANCE_720P, seed=True, prompt=3500),
    _model("seedance2_mini", _SEEDANCE_720P, seed=True, prompt=3500),
    _model("happyhorse_1_0", _HAPPYHORSE, prompt=2500),
    _model("wan3", _WAN),
    _model("wan3_prime", _WAN),
    _model("gemini_omni_flash", _720P, seconds=_up_to(3, 10)),
    _model("gemini_omni_flash_1.1", _OMNI, seconds=_up_to(3, 10)),
    _model("grok_imagine_1_5_lite", _GROK_LITE),
    _model("h3_max", _NONE, seed=True),
    _by_ratio("hailuo3", "16:9 9:16 1:1 4:3 3:4 21:9"),
    _by_ratio("grok_imagine_1_5", "16:9 9:16 1:1 4:3 3:4 3:2 2:3"),
)

_RATIO_REQUIRED = frozenset({"gen4.5", "gen4_turbo", "veo3.1", "veo3.1_fast"})
_RATIO_REQUIRED_WITHOUT_IMAGE = frozenset(
    {"kling3.0_standard", "kling3.0_pro", "kling3.0_4k"}
    | {"klingO3_standard", "klingO3_pro", "klingO3_4k"}
)
_SECONDS_REQUIRED = frozenset({"gen4.5"})
_SHAPED_BY_IMAGE = frozenset(
    {"kling_4", "kling2.5_turbo_pro", "happyhorse_1_0", "wan3", "wan3_prime"}
    | {"grok_imagine_1_5", "grok_imagine_1_5_lite"}
)
"""Models whose video has the ratio of its first image; with an image they take no other ratio."""


def path_of(request: VideoRequest) -> str:
    """Return the path that creates such a task."""
    return "text_to_video" if request.image is None else "image_to_video"


def body_of(request: VideoRequest, model: Model | None) -> dict[str, object]:
    """Return a task's parameters: the common ones over the user's options."""
    common = {
        "model": request.model,
        "promptText": encodable(request.prompt),
        "promptImage": request.image,
        "ratio": _ratio(request, model),
        "duration": duration(request.seconds),
        "seed": request.seed,
    }
    return merged({**_defaults(request, model), **request.options}, common)


def _ratio(request: VideoRequest, model: Model | None) -> str | None:
    if request.image is not None and request.model in _SHAPED_BY_IMAGE:
        return None
    if model is not None and model.aspect_ratios:
        return aspect_ratio_for(request)
    size = request.size if model is None else model.size_for(request)
    return request.aspect_ratio if size is None else size.replace("x", ":")


def _defaults(request: VideoRequest, model: Model | None) -> dict[str, object]:
    """Return the parameters that Runway requires and the request does not set."""
    defaults: dict[str, object] = {}
    required = _RATIO_REQUIRED
    if request.image is None:
        required |= _RATIO_REQUIRED_WITHOUT_IMAGE
    if model is not None and model.sizes and model.name in required:
        defaults["ratio"] = model.sizes[0].replace("x", ":")
    if request.model in _SECONDS_REQUIRED:
        defaults["duration"] = SECONDS_DEFAULT
    return defaults
