"""Reads the common parts of requests of all wires: a JSON object, the video, its size."""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from aiohttp import BodyPartReader, web

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import VideoSpec

MODEL = "sora-2"
"""The only model that is listed; requests may name any other."""
PROMPT_CHARACTERS_MAX = 32_000
SECONDS_MAX = 60
PIXELS_MIN, PIXELS_MAX = 64, 2048

_SIZE = re.compile(r"([0-9]{2,4})x([0-9]{2,4})", re.ASCII)
_RATIO = re.compile(r"([1-9]\d?):([1-9]\d?)", re.ASCII)
_RESOLUTION = re.compile(r"(480|720|1080)p", re.ASCII)


async def json_object(request: web.Request) -> Mapping[str, object]:
    """Return the JSON object of a request's body."""
    try:
        fields = json.loads(await request.read())
    except ValueError as error:
        raise SimulatedRefusal(400, f"The body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise SimulatedRefusal(400, "The body must be a JSON object.")
    return fields


async def form_of(request: web.Request) -> tuple[dict[str, str], str, bytes]:
    """Return the fields of a form before its file, and the file's type and bytes.

    The file is the last part, as S3 requires it.
    """
    fields: dict[str, str] = {}
    reader = await request.multipart()
    async for part in reader:
        if not isinstance(part, BodyPartReader):
            break
        if part.filename is None:
            fields[part.name or ""] = await part.text()
            continue
        return fields, part.headers.get("Content-Type", ""), bytes(await part.read())
    raise SimulatedRefusal(400, "The form has no file.")


def video_from(fields: Mapping[str, object]) -> VideoSpec:
    """Return the video that the fields of a create ask for; null counts as left out."""
    width, height = _size(_given(fields, "size", "720x1280"))
    return VideoSpec(
        prompt=_prompt(fields.get("prompt")),
        model=_model(_given(fields, "model", MODEL)),
        width=width,
        height=height,
        seconds=_seconds(_given(fields, "seconds", "4")),
    )


def size_of(ratio: object, resolution: object) -> str | None:
    """Return WIDTHxHEIGHT of a ratio and a resolution such as 720p; None if either is invalid.

    Both numbers are even, and no larger than the simulator draws.
    """
    sides = _RATIO.fullmatch(ratio) if isinstance(ratio, str) else None
    lines = _RESOLUTION.fullmatch(resolution) if isinstance(resolution, str) else None
    if sides is None or lines is None:
        return None
    width, height = map(int, sides.groups())
    scale = min(int(lines[1]) / min(width, height), PIXELS_MAX / max(width, height))
    return "x".join(str(int(side * scale / 2) * 2) for side in (width, height))


def is_whole(text: str) -> bool:
    """Return True if the text is a whole number of at most four digits."""
    return text.isascii() and text.isdecimal() and len(text) <= 4


def refuse(param: str, problem: str) -> NoReturn:
    """Raise the refusal of one parameter."""
    raise SimulatedRefusal(400, f"{param} {problem}.", code="invalid_value", param=param)


def _given(fields: Mapping[str, object], name: str, default: object) -> object:
    value = fields.get(name)
    return default if value is None else value


def _prompt(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= PROMPT_CHARACTERS_MAX:
        refuse("prompt", f"is required: a text of 1 to {PROMPT_CHARACTERS_MAX} characters")
    return value


def _model(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        refuse("model", "must be a model's name")
    return value


def _seconds(value: object) -> int:
    # Numbers are accepted too, as most servers of this API do.
    text = str(value) if type(value) in {str, int} else ""
    if not is_whole(text) or not 1 <= int(text) <= SECONDS_MAX:
        refuse("seconds", f'must be a whole number of seconds from "1" to "{SECONDS_MAX}"')
    return int(text)


def _size(value: object) -> tuple[int, int]:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    sides = [int(side) for side in match.groups()] if match else []
    if not sides or any(side % 2 or not PIXELS_MIN <= side <= PIXELS_MAX for side in sides):
        refuse(
            "size",
            f"must be WIDTHxHEIGHT in even numbers from {PIXELS_MIN} to {PIXELS_MAX}, "
            "for example 1280x720",
        )
    return sides[0], sides[1]
