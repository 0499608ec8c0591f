"""Fields of a request in the form that providers expect."""

from collections.abc import Mapping
from math import log

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
