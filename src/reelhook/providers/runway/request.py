"""The body of a create at Runway, from a request.

From runwayml-python 5.24 (`types/text_to_video_create_params.py`,
`types/image_to_video_create_params.py`). Models that take sizes get the one of the requested ratio
and resolution. A model that gives the video the shape of its first image takes `auto_720p` or a
`resolution` next to an image, or nothing. A requested size sets it.
"""

from collections.abc import Mapping

from reelhook.domain.model import Model, aspect_ratio_for, ratio_of
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.json_fields import encodable
from reelhook.providers.http.request_fields import duration, merged, refusal
from reelhook.providers.runway.models import SHAPED_BY_IMAGE, SIZES

SECONDS_DEFAULT = 5
"""The duration for models that require one."""

_RATIO_REQUIRED = frozenset({"gen4.5", "gen4_turbo", "veo3.1", "veo3.1_fast"})
_RATIO_REQUIRED_WITHOUT_IMAGE = frozenset(
    {"kling3.0_standard", "kling3.0_pro", "kling3.0_4k"}
    | {"klingO3_standard", "klingO3_pro", "klingO3_4k"}
)
_SECONDS_REQUIRED = frozenset({"gen4.5"})
_AUTO_WITH_IMAGE = frozenset({"kling_4", "wan3", "wan3_prime", "grok_imagine_1_5_lite"})
_NO_RESOLUTION_WITH_IMAGE = frozenset({"kling2.5_turbo_pro"})
_REFERENCES_NEED_IMAGE = frozenset({"klingO3_standard", "klingO3_pro", "klingO3_4k"})
_UNTYPED_REFERENCES = frozenset({"gemini_omni_flash_1.1"})
"""Models whose reference videos have a `uri` and no `type`."""
_NAMES = {
    "negative_prompt": "negativePrompt",
    "audio": "audio",
    "last_frame": "promptImage",
    "reference_images": "references",
    "reference_videos": "referenceVideos",
    "reference_audios": "referenceAudio",
}
_LAST_WITHOUT_FIRST = "Runway takes a lastFrame only after a first image; give image too"
_REFERENCES_WITHOUT_IMAGE = "{model} takes referenceImages only next to a first image; give image"
_NO_SIZE_WITH_IMAGE = "{model} takes no size next to an image; leave size out"
_WIDE = "16:9"
_NO_SIZE = "{model} has no size of {resolution} with the ratio {ratio}; change one of them"


def path_of(request: VideoRequest) -> str:
    """Return the path that creates such a task."""
    return "text_to_video" if request.image is None else "image_to_video"


def refusal_before_sending(request: VideoRequest, model: Model | None) -> Refused | None:
    """Return why Runway's API can't express a request."""
    name = request.model
    if request.last_frame is not None and request.image is None:
        return Refused("invalid_request", _LAST_WITHOUT_FIRST)
    if request.reference_images and request.image is None and name in _REFERENCES_NEED_IMAGE:
        return Refused("invalid_request", _REFERENCES_WITHOUT_IMAGE.format(model=name))
    if request.image is not None and request.size and name in _NO_RESOLUTION_WITH_IMAGE:
        return Refused("invalid_request", _NO_SIZE_WITH_IMAGE.format(model=name))
    names = dict(_NAMES)
    if request.image is None or name not in _NO_RESOLUTION_WITH_IMAGE:
        names["resolution"] = "ratio" if _is_sized(request) else "resolution"
    common = _common(request, model)
    if request.resolution is not None and names.get("resolution") == "ratio":
        ratio, resolution = request.aspect_ratio, request.resolution
        if common["ratio"] is None:
            message = _NO_SIZE.format(model=name, resolution=resolution, ratio=ratio)
            return Refused("invalid_request", message)
    return refusal(request, f"{name} at Runway", names, common)


def body_of(request: VideoRequest, model: Model | None) -> dict[str, object]:
    """Return a task's parameters: the common ones over the user's options."""
    return merged({**_defaults(request, model), **request.options}, _common(request, model))


def _common(request: VideoRequest, model: Model | None) -> dict[str, object]:
    return {
        "model": request.model,
        "promptText": encodable(request.prompt),
        "promptImage": _frames(request),
        "ratio": _ratio(request, model),
        "resolution": None if _is_sized(request) else _resolution(request),
        "duration": duration(request.seconds),
        "seed": request.seed,
        "negativePrompt": request.negative_prompt,
        "audio": request.audio,
        "references": [{"uri": uri} for uri in request.reference_images] or None,
        "referenceVideos": _references("video", request.reference_videos, request.model),
        "referenceAudio": _references("audio", request.reference_audios, request.model),
    }


def _frames(request: VideoRequest) -> object:
    if request.image is None or request.last_frame is None:
        return request.image
    first = {"uri": request.image, "position": "first"}
    return [first, {"uri": request.last_frame, "position": "last"}]


def _references(kind: str, uris: tuple[str, ...], model: str) -> list[Mapping[str, str]] | None:
    if model in _UNTYPED_REFERENCES:
        return [{"uri": uri} for uri in uris] or None
    return [{"type": kind, "uri": uri} for uri in uris] or None


def _is_sized(request: VideoRequest) -> bool:
    """Return True if `ratio` sets the resolution of the video."""
    if _is_shaped_by_image(request):
        return request.model in _AUTO_WITH_IMAGE
    return request.model in SIZES


def _is_shaped_by_image(request: VideoRequest) -> bool:
    return request.image is not None and request.model in SHAPED_BY_IMAGE


def _resolution(request: VideoRequest) -> str | None:
    """Return the requested resolution, or that of the size next to an image that sets the ratio."""
    if request.resolution is not None or not _is_shaped_by_image(request):
        return request.resolution
    resolutions = SIZES.get(request.model, {}).items()
    return next((name for name, sizes in resolutions if request.size in sizes), None)


def _ratio(request: VideoRequest, model: Model | None) -> str | None:
    if _is_shaped_by_image(request):
        resolution = _resolution(request) if request.model in _AUTO_WITH_IMAGE else None
        return None if resolution is None else f"auto_{resolution}"
    if model is not None and model.aspect_ratios:
        return aspect_ratio_for(request)
    if request.size is None and request.resolution is not None and request.model in SIZES:
        return _size_of_resolution(request, request.resolution)
    size = request.size if model is None else model.size_for(request)
    return request.aspect_ratio if size is None else size.replace("x", ":")


def _size_of_resolution(request: VideoRequest, resolution: str) -> str | None:
    """Return the model's size of this resolution and the requested ratio, else of 16:9."""
    sizes = SIZES[request.model].get(resolution, ())
    ratio = request.aspect_ratio or _WIDE
    size = next((size for size in sizes if ratio_of(size) == ratio), None)
    return None if size is None else size.replace("x", ":")


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
