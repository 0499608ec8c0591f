"""The limits of models and providers on the files of a request, checked before it is paid for."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.image_size import pixels_of
from reelhook.domain.media import File, hash_in
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import job_in, kind_of, media_of

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The limits of a model on each image. None: no limit is known.

    Sides are in pixels. A ratio is the width divided by the height. `bytes_max` is in bytes.
    `first_only`: they are known for the first image only.
    """

    side_min: int | None = None
    side_max: int | None = None
    ratio_min: float | None = None
    ratio_max: float | None = None
    bytes_max: int | None = None
    first_only: bool = False

    def check(self, file: File, field: str, called: str) -> None:
        """Raise `InvalidRequestError` for an image that the model does not take.

        An image whose pixels are not known passes.
        """
        if self.bytes_max is not None and len(file.body) > self.bytes_max:
            size = f"{len(file.body) / _MB:.1f}"
            limit = f"{self.bytes_max / _MB:g}"
            problem = Problem.IMAGE_BYTES
            raise InvalidRequestError(field, problem, model=called, size=size, limit=limit)
        pixels = pixels_of(file.body)
        if pixels is None:
            return
        width, height = pixels
        ratio = width / height
        too_small = not _within(min(pixels), self.side_min, None)
        if too_small or not _within(max(pixels), None, self.side_max):
            raise InvalidRequestError(
                field,
                Problem.IMAGE_SIDES,
                model=called,
                width=width,
                height=height,
                allowed=_range(self.side_min, self.side_max),
            )
        if not _within(ratio, self.ratio_min, self.ratio_max):
            raise InvalidRequestError(
                field,
                Problem.IMAGE_RATIO,
                model=called,
                ratio=f"{ratio:.2f}",
                allowed=_range(self.ratio_min, self.ratio_max),
            )


def check_images(
    limits: ImageLimits | None, request: VideoRequest, files: Mapping[str, File], called: str
) -> None:
    """Raise `InvalidRequestError` for a stored image that a model does not take.

    `files` are those of the request, by their hashes; others are not looked at.
    """
    if limits is None:
        return
    for field, text in media_of(request):
        file = files.get(hash_in(text) or "")
        limited = field == "image" or not limits.first_only
        if file is not None and limited and kind_of(field) == "image":
            limits.check(file, field, called)


def not_inline(
    request: VideoRequest, files: Mapping[str, File], inline_bytes_max: Mapping[str, int]
) -> dict[str, str]:
    """Return the hashes of the files that a create can't carry, by their fields.

    `inline_bytes_max` has the most bytes of a file, by its kind. The hash is empty for a video of a
    job, if none of any size can be carried.
    """
    found: dict[str, str] = {}
    for field, text in media_of(request):
        limit = inline_bytes_max.get(kind_of(field))
        if limit is None:
            continue
        file = files.get(hash_in(text) or "")
        if file is not None and len(file.body) > limit:
            found[field] = file.hash
        elif limit == 0 and job_in(text) is not None:
            found[field] = ""
    return found


def not_carried(field: str, provider: str, limit: int) -> InvalidRequestError:
    """Return the refusal of a file that can't reach a provider. `limit` is in bytes."""
    kind = kind_of(field)
    if limit == 0:
        return InvalidRequestError(field, Problem.NEEDS_ADDRESS, provider=provider, kind=kind)
    most = f"{limit / _MB:g}"
    return InvalidRequestError(field, Problem.NOT_CARRIED, provider=provider, kind=kind, limit=most)


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
