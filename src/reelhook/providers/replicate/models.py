"""The inputs of Replicate's video models, and their limits.

Each model has its own input schema. These come from the models' API pages at
replicate.com (November 2026); limits that a page does not state are left open. Any other model gets
the usual names of inputs; `providerOptions` sets inputs with other names. Replicate ignores an
input that a model does not know. So a field without a usual name is refused, such as a last frame.
Models of a known family differ, so each gets only the newer fields that its page lists.
"""

import re
from dataclasses import replace
from typing import Any

from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.address import segment
from reelhook.providers.http.field_names import FieldNames
from reelhook.providers.http.json_fields import encodable, is_segment
from reelhook.providers.http.request_fields import duration, merged, refusal
from reelhook.providers.replicate.prices import PRICES

_TAKES_NONE: tuple[str, ...] = ()
_VERSION = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MODEL = re.compile(r"([^/:\s]+)/([^/:\s]+)(?::([^/:\s]+))?")


_USUAL = FieldNames(reference_images="reference_images")
_NO_NEWER = FieldNames(resolution=None, negative_prompt=None, audio=None)
_KLING = FieldNames(
    image="start_image",
    resolution=None,
    last_frame="end_image",
    reference_images="reference_images",
)
_KLING_OLDER = replace(_KLING, audio=None, last_frame=None, reference_images=None)
_MINIMAX = replace(_NO_NEWER, image="first_frame_image", resolution="resolution")
_VEO = FieldNames()
_VEO_3_1 = "google/veo-3.1"
_BY_MODEL = {
    "kwaivgi/kling-v2.1": replace(_KLING, resolution="mode", audio=None, reference_images=None),
    # From its README; the names of its other inputs are not stated there.
    "kwaivgi/kling-v4.0": replace(_KLING, reference_videos="reference_videos"),
    "kwaivgi/kling-v3-video": replace(_KLING, reference_images=None),
    "kwaivgi/kling-o1": replace(_KLING, negative_prompt=None, audio=None),
    "kwaivgi/kling-v1.6-pro": replace(_KLING, audio=None),
    _VEO_3_1: replace(_VEO, last_frame="last_frame", reference_images="reference_images"),
    "google/veo-3": _VEO,
    "google/veo-3-fast": _VEO,
    "minimax/hailuo-02": replace(_MINIMAX, last_frame="last_frame_image"),
}
_BY_START = {  # by the start of the model's name: its family, the narrower one first
    "google/veo-3.1": replace(_VEO, last_frame="last_frame"),
    "google/veo-": _NO_NEWER,
    "bytedance/seedance-2": FieldNames(
        negative_prompt=None,
        last_frame="last_frame_image",
        reference_images="reference_images",
        reference_videos="reference_videos",
        reference_audios="reference_audios",
    ),
    "bytedance/seedance-1-": replace(_NO_NEWER, resolution="resolution"),
    "bytedance/seedance-": _NO_NEWER,
    "kwaivgi/": _KLING_OLDER,
    "minimax/": _MINIMAX,
}
_LAST_AFTER_FIRST = (_VEO_3_1, "bytedance/seedance-2")
"""Families whose pages say that a last frame only works together with a first one."""
_LAST_WITHOUT_FIRST = "{model} takes a lastFrame only after a first image; give image too"
_REFERENCES_OR_FRAMES = "{model} takes referenceImages or image and lastFrame, not both"
_REFERENCES_SHAPE = (
    "{model} takes referenceImages only for 8 seconds at 16:9; set seconds to 8 and aspectRatio "
    "to 16:9"
)
_SHAPE_OF_REFERENCES = {"duration": 8, "aspect_ratio": "16:9"}
"""From the input schema of `google/veo-3.1`, which also ignores a last frame next to references."""
_MODES = {"720p": "standard", "1080p": "pro"}
"""The modes of Kling 2.1 by their resolution, as its page says."""
_LAST_FRAME_MODE = "pro"
_LAST_FRAME_NEEDS_PRO = (
    "kwaivgi/kling-v2.1 takes lastFrame in its mode pro only; set resolution to 1080p"
)


def _model(name: str, *, resolutions: tuple[str, ...] | None, **limits: Any) -> Model:
    """Return a model that takes no size, and none of the newer fields but those in `limits`."""
    given = {
        "negative_prompt": False,
        "audio": False,
        "last_frame": False,
        "reference_images_max": 0,
        "reference_videos_max": 0,
        "reference_audios_max": 0,
        **limits,
    }
    return Model(name, sizes=_TAKES_NONE, resolutions=resolutions, price=PRICES.get(name), **given)


def _seedance_2(name: str, resolutions: tuple[str, ...]) -> Model:
    return _model(
        name,
        resolutions=resolutions,
        audio=True,
        last_frame=True,
        reference_images_max=9,
        reference_videos_max=3,
        reference_audios_max=3,
        references_or_frames=True,
    )


MODELS = (
    _model("google/veo-3-fast", resolutions=("720p", "1080p"), audio=True, negative_prompt=True),
    _seedance_2("bytedance/seedance-2.0", ("480p", "720p", "1080p", "4k")),
    _seedance_2("bytedance/seedance-2.0-fast", ("480p", "720p")),
    _model(
        "kwaivgi/kling-v2.1",
        resolutions=tuple(_MODES),
        aspect_ratios=_TAKES_NONE,
        image=Image.REQUIRED,
        seed=False,
        negative_prompt=True,
        last_frame=True,
    ),
    _model(
        "minimax/hailuo-2.3",
        resolutions=("768p", "1080p"),
        seconds=("6", "10"),
        aspect_ratios=_TAKES_NONE,
        seed=False,
    ),
    _model("minimax/hailuo-02-fast", resolutions=None, aspect_ratios=_TAKES_NONE, seed=False),
    _model(
        "minimax/video-01-live",
        resolutions=_TAKES_NONE,
        seconds=_TAKES_NONE,
        aspect_ratios=_TAKES_NONE,
        seed=False,
    ),
)


def target(model: str) -> tuple[str, dict[str, object]] | None:
    """Return the path that creates predictions, and the fields that name the version.

    A model is `owner/name` (an official model, which Replicate maintains), `owner/name:version`, or
    the 64 digits of a version. None for any other form.
    """
    if _VERSION.fullmatch(model):
        return "predictions", {"version": model}
    written = _MODEL.fullmatch(model)
    if written is None:
        return None
    owner, name, version = written.groups()
    if not (is_segment(owner) and is_segment(name)):
        return None
    if version is not None:
        return "predictions", {"version": version}
    path = "/".join(segment(part) for part in (owner, name))
    return f"models/{path}/predictions", {}


def names_of(model: str) -> FieldNames:
    """Return the names of the common parameters at a model; the usual names if it is unknown."""
    name = model.partition(":")[0]
    families = (names for start, names in _BY_START.items() if name.startswith(start))
    return _BY_MODEL.get(name) or next(families, _USUAL)


def refusal_before_sending(request: VideoRequest) -> Refused | None:
    """Return why the inputs of a model can't express a request."""
    names, parameters = names_of(request.model), _parameters(request)
    if refused := refusal(request, "Replicate", names.of_fields, parameters):
        return refused
    framed = request.image is not None or request.last_frame is None
    if not framed and request.model.startswith(_LAST_AFTER_FIRST):
        return Refused("invalid_request", _LAST_WITHOUT_FIRST.format(model=request.model))
    if request.reference_images and request.model.partition(":")[0] == _VEO_3_1:
        return _refusal_of_references(request)
    mode = parameters.get("mode", request.options.get("mode"))
    if names.resolution == "mode" and request.last_frame and mode != _LAST_FRAME_MODE:
        return Refused("invalid_request", _LAST_FRAME_NEEDS_PRO)
    return None


def _refusal_of_references(request: VideoRequest) -> Refused | None:
    if request.image is not None or request.last_frame is not None:
        return Refused("invalid_request", _REFERENCES_OR_FRAMES.format(model=request.model))
    sent = input_of(request)
    if any(sent.get(name, needed) != needed for name, needed in _SHAPE_OF_REFERENCES.items()):
        return Refused("invalid_request", _REFERENCES_SHAPE.format(model=request.model))
    return None


def input_of(request: VideoRequest) -> dict[str, object]:
    """Return a prediction's input: the common parameters over the user's options."""
    names = names_of(request.model)
    common = {
        **_parameters(request),
        names.prompt: encodable(request.prompt),
        names.seconds: duration(request.seconds),
        names.aspect_ratio: aspect_ratio_for(request),
        names.image: request.image,
        names.seed: request.seed,
    }
    return merged(request.options, common)


def _parameters(request: VideoRequest) -> dict[str, object]:
    parameters = names_of(request.model).parameters(request)
    if request.resolution in _MODES and "mode" in parameters:
        parameters["mode"] = _MODES[request.resolution]
    return parameters
