"""Fields of a request in the form that providers expect."""

from collections.abc import Mapping
from math import log

from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.json_fields import number


def merged(options: Mapping[str, object], common: Mapping[str, object]) -> dict[str, object]:
    """Return the common parameters that are set (not None), over the provider's own options."""
    return {**options, **{name: value for name, value in common.items() if value is not None}}


def duration(seconds: str | None) -> int | float | str | None:
    """Return a duration as a number; a text that is not a number is unchanged."""
    value = number(seconds)
    if value is None:
        return seconds
    return int(value) if value.is_integer() else value


def nearest_resolution(size: str, pixels: Mapping[str, int]) -> str:
    """Return the resolution, such as 720p, whose number of pixels is nearest to "1280x720"."""
    width, height = map(int, size.split("x"))
    return min(pixels, key=lambda name: abs(log(pixels[name] / (width * height))))


FIELDS = (
    *("resolution", "negative_prompt", "audio", "last_frame"),
    *("reference_images", "reference_videos", "reference_audios"),
)
"""The fields of a request that only some providers have."""


def refusal(
    request: VideoRequest,
    title: str,
    names: Mapping[str, str],
    common: Mapping[str, object] | None = None,
) -> Refused | None:
    """Return why a provider can't be sent a field of `FIELDS`; None if all of them can be sent.

    `names` has the provider's name of each field that it takes. A field is also refused if the
    options set its parameter to another value than `common`, which has the provider's parameters.
    """
    for field in FIELDS:
        if getattr(request, field) in {None, ()}:
            continue
        shown = _camel_case(field)
        if field not in names:
            return Refused(
                "invalid_request",
                f"{title} has no parameter for {shown}; leave it out, or set the model's own "
                "parameter in providerOptions",
            )
        name = names[field]
        option = request.options.get(name)
        if common is not None and option is not None and option != common.get(name):
            return Refused(
                "invalid_request",
                f"{shown} and {name} in providerOptions contradict each other; give only one",
            )
    return None


def _camel_case(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(map(str.capitalize, others))
