"""The inputs of Replicate's video models, and their limits.

Each model has its own input schema. These come from the models' API pages at
replicate.com (November 2026); limits that a page does not state are left open. Any other model gets
the common names of inputs; `providerOptions` sets inputs with other names.
"""

import re
from dataclasses import dataclass, replace

from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.address import segment
from reelhook.providers.http.json_fields import encodable, is_segment
from reelhook.providers.http.request_fields import duration, merged
from reelhook.providers.replicate.prices import PRICES

_TAKES_NONE: tuple[str, ...] = ()
_VERSION = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MODEL = re.compile(r"([^/:\s]+)/([^/:\s]+)(?::([^/:\s]+))?")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the common parameters at a model."""

    prompt: str = "prompt"
    seconds: str = "duration"
    aspect_ratio: str = "aspect_ratio"
    image: str = "image"
    seed: str = "seed"


_DEFAULT = Names()
_BY_START = {  # by the start of the model's name: its family
    "kwaivgi/": Names(image="start_image"),
    "minimax/": Names(image="first_frame_image"),
}

_MODELS = (
    Model("google/veo-3-fast", sizes=_TAKES_NONE),
    Model("bytedance/seedance-2.0", sizes=_TAKES_NONE),
    Model("bytedance/seedance-2.0-fast", sizes=_TAKES_NONE),
    Model(
        "kwaivgi/kling-v2.1",
        sizes=_TAKES_NONE,
        aspect_ratios=_TAKES_NONE,
        image=Image.REQUIRED,
        seed=False,
    ),
    Model(
        "minimax/hailuo-2.3",
        seconds=("6", "10"),
        sizes=_TAKES_NONE,
        aspect_ratios=_TAKES_NONE,
        seed=False,
    ),
    Model("minimax/hailuo-02-fast", sizes=_TAKES_NONE, aspect_ratios=_TAKES_NONE, seed=False),
    Model(
        "minimax/video-01-live",
        seconds=_TAKES_NONE,
        sizes=_TAKES_NONE,
        aspect_ratios=_TAKES_NONE,
        seed=False,
    ),
)
MODELS = tuple(replace(model, price=PRICES.get(model.name)) for model in _MODELS)


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


def names_of(model: str) -> Names:
    """Return the names of the common parameters at a model; the usual names if it is unknown."""
    return next((names for start, names in _BY_START.items() if model.startswith(start)), _DEFAULT)


def input_of(request: VideoRequest) -> dict[str, object]:
    """Return a prediction's input: the common parameters over the user's options."""
    names = names_of(request.model)
    common = {
        names.prompt: encodable(request.prompt),
        names.seconds: duration(request.seconds),
        names.aspect_ratio: aspect_ratio_for(request),
        names.image: request.image,
        names.seed: request.seed,
    }
    return merged(request.options, common)
