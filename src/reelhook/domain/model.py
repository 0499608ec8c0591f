"""Model: what one of a provider's models can make, so that the rest is refused before paying."""

from dataclasses import dataclass
from enum import StrEnum
from math import gcd

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import VideoRequest


class Image(StrEnum):
    """Whether a model begins with an image."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its limits. None: no limit is known, and the provider decides; (): takes none.

    `name` is the provider's own. `sizes` are "1280x720", `aspect_ratios` "16:9". Where a model
    takes ratios and no sizes, a size is understood as its ratio. `image_sets_ratio`: a video that
    begins with an image has its ratio, and the provider refuses to be asked for any.
    """

    name: str
    seconds: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    aspect_ratios: tuple[str, ...] | None = None
    image: Image = Image.OPTIONAL
    seed: bool = True
    prompt_characters_max: int | None = None
    image_sets_ratio: bool = False

    def check(self, request: VideoRequest, called: str) -> None:
        """Raise `InvalidRequestError` for what the model, `called` so by users, can't do."""
        self._check_prompt(request, called)
        _check_one_of("seconds", request.seconds, self.seconds, called)
        self._check_shape(request, called)
        if request.image is not None and self.image is Image.NONE:
            raise InvalidRequestError("image", f"{called} takes no image; leave image out")
        if request.image is None and self.image is Image.REQUIRED:
            raise InvalidRequestError("image", f"{called} begins with an image: give image")
        if request.seed is not None and not self.seed:
            raise InvalidRequestError("seed", f"{called} takes no seed; leave seed out")

    def _check_prompt(self, request: VideoRequest, called: str) -> None:
        most = self.prompt_characters_max
        if most is not None and len(request.prompt) > most:
            raise InvalidRequestError(
                "script",
                f"{called} takes at most {most} characters of prompt and script together,"
                f" not {len(request.prompt)}",
            )

    def _check_shape(self, request: VideoRequest, called: str) -> None:
        size, ratio = request.size, request.aspect_ratio
        if self.image_sets_ratio and request.image is not None and (size or ratio):
            field = "size" if size else "aspectRatio"
            raise InvalidRequestError(
                field, f"{called} gives the video the ratio of its image; leave {field} out"
            )
        if size is not None and self.sizes == () and self.aspect_ratios:
            _check_one_of("size", ratio_of(size), self.aspect_ratios, called, what="ratio")
        else:
            _check_one_of("size", size, self.sizes, called)
        if ratio is not None and self.aspect_ratios == () and self.sizes:
            ratios = tuple(dict.fromkeys(ratio_of(one) for one in self.sizes))
            _check_one_of("aspectRatio", ratio, ratios, called)
        else:
            _check_one_of("aspectRatio", ratio, self.aspect_ratios, called)

    def size_for(self, request: VideoRequest) -> str | None:
        """Return the size that was asked for, or the model's first of the asked ratio."""
        if request.size is not None or request.aspect_ratio is None:
            return request.size
        return next((s for s in self.sizes or () if ratio_of(s) == request.aspect_ratio), None)


def check_agreement(request: VideoRequest) -> None:
    """Raise `InvalidRequestError` for a size and a ratio that contradict each other."""
    size, ratio = request.size, request.aspect_ratio
    if size is not None and ratio is not None and ratio_of(size) != ratio:
        raise InvalidRequestError(
            "aspectRatio", f"aspectRatio {ratio} is not that of size {size}; give one of them"
        )


def ratio_of(size: str) -> str:
    """Return the aspect ratio of "1280x720": "16:9"; by name where a size only comes near it."""
    width, height = map(int, size.split("x"))
    divisor = gcd(width, height)
    exact = f"{width // divisor}:{height // divisor}"
    near = min(_RATIOS, key=lambda ratio: abs(_RATIOS[ratio] - width / height))
    return near if abs(_RATIOS[near] - width / height) < _NEAR * _RATIOS[near] else exact


def aspect_ratio_for(request: VideoRequest) -> str | None:
    """Return the ratio that was asked for, or that of the size."""
    if request.aspect_ratio is not None or request.size is None:
        return request.aspect_ratio
    return ratio_of(request.size)


_NAMED = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21", "5:4", "4:5")
_RATIOS = {name: int(name.split(":")[0]) / int(name.split(":")[1]) for name in _NAMED}
_NEAR = 0.03
"""Sizes are whole multiples of 8 or 16: 1104x832 is meant to be 4:3."""


def _check_one_of(
    field: str,
    value: str | None,
    allowed: tuple[str, ...] | None,
    called: str,
    *,
    what: str | None = None,
) -> None:
    if value is None or allowed is None or value in allowed:
        return
    if not allowed:
        raise InvalidRequestError(field, f"{called} takes no {field}; leave {field} out")
    raise InvalidRequestError(
        field, f"{field} of {called} has {what or 'one'} of {', '.join(allowed)}, not {value}"
    )
