"""The domain's request for a video, made from a body, and warnings about what it leaves out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import lines_of, ratio_of
from reelhook.domain.request import RESOLUTION, SIZE, VideoRequest, check_file
from reelhook.domain.request_media import MEDIA_FIELDS, is_url
from reelhook.doors.context import HttpOptions
from reelhook.doors.vercel.body import OWN, FrameImage, OwnFields, VideoModelBody
from reelhook.doors.vercel.files import file_uri, kind_of

ADAPTIVE = "adaptive"
_USUAL_RESOLUTIONS = ("360p", "480p", "540p", "720p", "768p", "1080p", "1440p", "4k")
"""The names of resolutions at models whose own names are not known."""
WireWarning = dict[str, str]
"""One of `gatewayVideoWarningSchema` in `gateway-video-model.ts`."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A request, and the warnings that its client gets."""

    request: VideoRequest
    warnings: tuple[WireWarning, ...]


def translated(body: VideoModelBody, own: OwnFields, model: str, route: ModelRoute) -> Translated:
    """Return the request. Raises `InvalidRequestError` for faults that the domain can't see."""
    if body.n not in {None, 1}:
        raise InvalidRequestError("n", "n must be 1: a call makes one video, so call n times")
    if body.prompt is None:
        raise InvalidRequestError("prompt", "prompt is required, also with an image; give a text")
    warnings = [*_ignored(body)]
    options, of_others = _options(body.provider_options or {}, route)
    warnings += of_others
    size, resolution, ratio = _shape(body, own, route)
    if size is not None and resolution is None and not route.takes_sizes:
        details = f"the model has no resolution of {size}; only the ratio is sure to be kept"
        warnings.append(unsupported("resolution", details))
    first, last = _frames(body, own)
    request = VideoRequest(
        body.prompt,
        model=model,
        seconds=_seconds(body.duration),
        size=size,
        resolution=resolution,
        aspect_ratio=ratio,
        seed=body.seed,
        audio=body.generate_audio,
        negative_prompt=own.negative_prompt,
        image=first,
        last_frame=last,
        options=options,
        fallbacks=tuple(own.fallbacks),
        **_references(body, own),
    )
    return Translated(request, tuple(warnings))


async def check_urls(options: HttpOptions, url: str | None, request: VideoRequest) -> None:
    """Raise `InvalidRequestError` if a URL of the request may not be dialled."""
    if url is not None:
        await options.check_url(url, field="callbackUrl")
    for field, kind in MEDIA_FIELDS.items():
        given = getattr(request, field)
        for file in (given,) if isinstance(given, str) else given or ():
            if not file.startswith("data:"):
                check_file(file, field, kind)
            if is_url(file):
                await options.check_url(file, field=field, media=True)


def unsupported(feature: str, details: str) -> WireWarning:
    """Return the warning that a field is ignored."""
    return {"type": "unsupported", "feature": feature, "details": details}


def _ignored(body: VideoModelBody) -> Iterator[WireWarning]:
    if body.fps is not None:
        details = "reelhook passes on no frame rate; give the provider's own parameter"
        yield unsupported("fps", f"{details} in providerOptions")
    if body.aspect_ratio == ADAPTIVE:
        yield unsupported("aspectRatio", "adaptive is left to the model, which may not offer it")


def _seconds(duration: float | None) -> str | None:
    if duration is None:
        return None
    if not duration.is_integer():
        raise InvalidRequestError("seconds", "duration must be a whole number of seconds")
    return str(int(duration))


def _shape(
    body: VideoModelBody, own: OwnFields, route: ModelRoute
) -> tuple[str | None, str | None, str | None]:
    """Return size, resolution and ratio. The client only has sizes; many models have none."""
    ratio = None if body.aspect_ratio == ADAPTIVE else body.aspect_ratio
    size, resolution = body.resolution, own.resolution
    if size is None or resolution is not None:
        return size, resolution, ratio
    if re.fullmatch(RESOLUTION, size):
        return None, size, ratio
    limits = route.limits
    if not re.fullmatch(SIZE, size) or (limits is not None and size in (limits.sizes or ())):
        return size, None, ratio
    names = None if limits is None else limits.resolutions
    if names is None:
        names = () if route.takes_sizes else _USUAL_RESOLUTIONS
    lines = min(map(int, size.split("x")))
    named = next((one for one in names if lines_of(one) == lines), None)
    if named is None or ratio not in {None, ratio_of(size)}:  # the domain names the contradiction
        return size, None, ratio
    return None, named, ratio_of(size)


def _frames(body: VideoModelBody, own: OwnFields) -> tuple[str | None, str | None]:
    """Return the first and the last image. A first frame replaces `image` (`generate-video.ts`)."""
    frames: dict[str, FrameImage] = {}
    for frame in body.frame_images or ():
        if frame.frame_type in frames:
            raise InvalidRequestError("frameImages", f"frameImages has two of {frame.frame_type}")
        frames[frame.frame_type] = frame
    first = frames["first_frame"].image if "first_frame" in frames else body.image
    last = frames["last_frame"].image if "last_frame" in frames else None
    field = "frameImages" if "first_frame" in frames else "image"
    first_uri = None if first is None else file_uri(first, field, "image")
    last_uri = None if last is None else file_uri(last, "frameImages", "image")
    return _either(first_uri, own.image, "image"), _either(last_uri, own.last_frame, "lastFrame")


def _either(given: str | None, own: str | None, name: str) -> str | None:
    """Return the image of the wire, or the one of reelhook's own field of this name."""
    if given is not None and own is not None:
        field = f"providerOptions.{OWN}.{name}"
        raise InvalidRequestError(field, f"{field} is given in addition to another one; give one")
    return own if given is None else given


def _references(body: VideoModelBody, own: OwnFields) -> dict[str, Any]:
    found: dict[str, tuple[str, ...]] = {}
    if own.video is not None:
        found["reference_videos"] = (own.video,)
    for number, file in enumerate(body.input_references or ()):
        uri = file_uri(file, f"inputReferences.{number}")
        name = f"reference_{kind_of(file)}s"
        found[name] = (*found.get(name, ()), uri)
    return found


def _options(
    given: Mapping[str, Mapping[str, Any]], route: ModelRoute
) -> tuple[dict[str, Any], list[WireWarning]]:
    """Return the options of the model's provider, and warnings about those of others."""
    names = {route.provider, *(account.id for account in route.accounts)}
    options: dict[str, Any] = {}
    warnings = []
    for name, values in given.items():
        if name == OWN:  # also if an account has this name
            continue
        if name in names:
            options |= values
        else:
            details = f"the model's provider is {route.provider}, so these options are ignored"
            warnings.append(unsupported(f"providerOptions.{name}", details))
    return options, warnings
