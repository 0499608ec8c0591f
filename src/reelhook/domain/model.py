"""A model and its limits. A request that it can't fulfil is refused before anything is paid."""

from dataclasses import dataclass
from enum import StrEnum
from math import gcd

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media_limits import ImageLimits
from reelhook.domain.price import ModelPrice
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest


class Image(StrEnum):
    """A model's use of a first image."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its limits. None: no limit is known, and the provider decides; (): takes none.

    `name` is the provider's own. `sizes` are like "1280x720", `aspect_ratios` like "16:9". If a
    model takes ratios but no sizes, a requested size is converted to its ratio. `image_sets_ratio`:
    a video that begins with an image has the image's ratio, so no other may be requested. A size
    next to an image then sets the resolution, if the model has sizes.
    `audio`: sound can be switched on and off. `reference_images_max` and the others are the most
    references of a kind; 0: none. `references_or_frames`: references can't be combined with a first
    or last image; a model that needs an image takes references in its place. `images` has the
    limits on each image. `price` None: not known.
    """

    name: str
    seconds: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    aspect_ratios: tuple[str, ...] | None = None
    image: Image = Image.OPTIONAL
    seed: bool = True
    prompt_characters_max: int | None = None
    image_sets_ratio: bool = False
    resolutions: tuple[str, ...] | None = None
    negative_prompt: bool = True
    audio: bool = True
    last_frame: bool = True
    reference_images_max: int | None = None
    reference_videos_max: int | None = None
    reference_audios_max: int | None = None
    references_or_frames: bool = False
    images: ImageLimits | None = None
    price: ModelPrice | None = None

    def check(self, request: VideoRequest, called: str) -> None:
        """Raise `InvalidRequestError` if the model can't fulfil it. Messages name it `called`."""
        self._check_prompt(request, called)
        _check_one_of("seconds", request.seconds, self.seconds, called)
        self._check_shape(request, called)
        if request.image is not None and self.image is Image.NONE:
            raise InvalidRequestError("image", Problem.NOT_TAKEN_BY_MODEL, model=called)
        instead = self.references_or_frames and request.reference_images
        if request.image is None and self.image is Image.REQUIRED and not instead:
            raise InvalidRequestError("image", Problem.NEEDED_BY_MODEL, model=called)
        for field in ("seed", "negative_prompt", "audio", "last_frame"):
            if getattr(request, field) is not None and not getattr(self, field):
                raise InvalidRequestError(field, Problem.NOT_TAKEN_BY_MODEL, model=called)
        _check_one_of("resolution", request.resolution, self.resolutions, called)
        self._check_references(request, called)

    def _check_references(self, request: VideoRequest, called: str) -> None:
        framed = request.image is not None or request.last_frame is not None
        for field in ("reference_images", "reference_videos", "reference_audios"):
            most, count = getattr(self, f"{field}_max"), len(getattr(request, field))
            if count and framed and most != 0 and self.references_or_frames:
                raise InvalidRequestError(field, Problem.REFERENCES_OR_FRAMES, model=called)
            if most is None or count <= most:
                continue
            if most == 0:
                raise InvalidRequestError(field, Problem.NOT_TAKEN_BY_MODEL, model=called)
            problem = Problem.TOO_MANY_FOR_MODEL
            raise InvalidRequestError(field, problem, model=called, limit=most, count=count)

    def _check_prompt(self, request: VideoRequest, called: str) -> None:
        limit, length = self.prompt_characters_max, len(request.prompt)
        if limit is not None and length > limit:
            problem = Problem.PROMPT_TOO_LONG_FOR_MODEL
            raise InvalidRequestError("prompt", problem, model=called, limit=limit, length=length)

    def _check_shape(self, request: VideoRequest, called: str) -> None:
        size, ratio = request.size, request.aspect_ratio
        if self.image_sets_ratio and request.image is not None:
            if size and not self.sizes:
                raise InvalidRequestError("size", Problem.RATIO_SET_BY_IMAGE, model=called)
            if ratio:
                raise InvalidRequestError("aspect_ratio", Problem.RATIO_SET_BY_IMAGE, model=called)
        if size is not None and self.sizes == () and self.aspect_ratios:
            problem = Problem.RATIO_NOT_OFFERED_BY_MODEL
            _check_one_of("size", ratio_of(size), self.aspect_ratios, called, problem)
        else:
            _check_one_of("size", size, self.sizes, called)
        if ratio is not None and self.aspect_ratios == () and self.sizes:
            ratios = tuple(dict.fromkeys(map(ratio_of, self.sizes)))
            _check_one_of("aspect_ratio", ratio, ratios, called)
        else:
            _check_one_of("aspect_ratio", ratio, self.aspect_ratios, called)

    def size_for(self, request: VideoRequest) -> str | None:
        """Return the requested size, or the model's first size of the requested ratio."""
        if request.size is not None or request.aspect_ratio is None:
            return request.size
        return next((s for s in self.sizes or () if ratio_of(s) == request.aspect_ratio), None)


def check_agreement(request: VideoRequest) -> None:
    """Raise `InvalidRequestError` if the size contradicts the ratio or the resolution."""
    size, ratio, resolution = request.size, request.aspect_ratio, request.resolution
    if size is None:
        return
    if ratio is not None and ratio_of(size) != ratio:
        raise InvalidRequestError("aspect_ratio", Problem.CONTRADICTION, value=ratio, size=size)
    if resolution is not None and min(map(int, size.split("x"))) != lines_of(resolution):
        problem = Problem.CONTRADICTION
        raise InvalidRequestError("resolution", problem, value=resolution, size=size)


def lines_of(resolution: str) -> int:
    """Return the shorter side of a resolution in pixels: 720 for "720p", 2160 for "4k"."""
    number = int(resolution[:-1])
    if resolution.endswith("p"):
        return number
    return 1440 if number == _QHD else _LINES_PER_K * number


def ratio_of(size: str) -> str:
    """Return the aspect ratio of a size: a usual one, like "16:9", if the size is close to it."""
    width, height = map(int, size.split("x"))
    divisor = gcd(width, height)
    exact = f"{width // divisor}:{height // divisor}"
    near = min(_RATIOS, key=lambda ratio: abs(_RATIOS[ratio] - width / height))
    return near if abs(_RATIOS[near] - width / height) < _NEAR * _RATIOS[near] else exact


def aspect_ratio_for(request: VideoRequest) -> str | None:
    """Return the requested ratio, or that of the requested size."""
    if request.aspect_ratio is not None or request.size is None:
        return request.aspect_ratio
    return ratio_of(request.size)


_QHD, _LINES_PER_K = 2, 540
"""4k is 3840x2160, and so on; but 2k is 2560x1440, as video providers use the name."""
_NAMED = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21", "5:4", "4:5")
_RATIOS = {name: int(name.split(":")[0]) / int(name.split(":")[1]) for name in _NAMED}
_NEAR = 0.03
"""The relative tolerance. Sizes are multiples of 8 or 16, so 1104x832 means 4:3."""


def _check_one_of(
    field: str,
    value: str | None,
    allowed: tuple[str, ...] | None,
    called: str,
    problem: Problem = Problem.NOT_OFFERED_BY_MODEL,
) -> None:
    if value is None or allowed is None or value in allowed:
        return
    if not allowed:
        raise InvalidRequestError(field, Problem.NOT_TAKEN_BY_MODEL, model=called)
    raise InvalidRequestError(field, problem, model=called, allowed=allowed, value=value)
