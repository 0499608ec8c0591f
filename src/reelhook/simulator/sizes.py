"""The sizes of videos that are asked for by a ratio and a resolution such as 720p."""

import re

from reelhook.simulator.openai_request import PIXELS_MAX

_RATIO = re.compile(r"([1-9]\d?):([1-9]\d?)", re.ASCII)
_RESOLUTION = re.compile(r"(480|720|1080)p", re.ASCII)


def size_of(ratio: object, resolution: object) -> str | None:
    """Return WIDTHxHEIGHT in even numbers, no larger than videos are drawn; None for neither."""
    sides = _RATIO.fullmatch(ratio) if isinstance(ratio, str) else None
    lines = _RESOLUTION.fullmatch(resolution) if isinstance(resolution, str) else None
    if sides is None or lines is None:
        return None
    width, height = map(int, sides.groups())
    scale = min(int(lines[1]) / min(width, height), PIXELS_MAX / max(width, height))
    return "x".join(str(int(side * scale / 2) * 2) for side in (width, height))
