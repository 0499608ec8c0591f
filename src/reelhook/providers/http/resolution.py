"""Sizes in pixels, for providers that ask for a ratio and a resolution such as 720p."""

from collections.abc import Mapping
from math import log


def nearest(size: str, pixels: Mapping[str, int]) -> str:
    """Return the resolution whose number of pixels comes nearest to that of "1280x720"."""
    width, height = map(int, size.split("x"))
    return min(pixels, key=lambda name: abs(log(pixels[name] / (width * height))))
