"""Reads the fields of creates like FastAPI and pydantic, on which these servers are built."""

import json
import re
from collections.abc import Callable, Iterable, Mapping

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.flavour import CreateBody
from reelhook.simulator.job import VideoSpec

_SIDE_MIN, _SIDE_MAX, _SECONDS_MAX = 64, 2048, 60
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.ASCII)

Refuse = Callable[[str, str], SimulatedRefusal]
"""Returns the refusal of a field, given its name and the problem."""


def text(body: CreateBody, name: str, refuse: Refuse) -> str | None:
    """Return a text, or None if it is left out."""
    value = body.fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise refuse(name, f"Input should be a valid string [input_value={value!r}]")


def prompt(body: CreateBody, refuse: Refuse) -> str:
    """Return the prompt, which all of these servers require."""
    value = text(body, "prompt", refuse)
    if not value:
        raise refuse("prompt", "Field required")
    return value


def whole(body: CreateBody, name: str, refuse: Refuse) -> int | None:
    """Return a whole number, which may be a text, or None if it is left out."""
    value = body.fields.get(name)
    if value is None or value == "":
        return None
    if type(value) is int or (isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value)):
        return int(value)
    raise refuse(name, "Input should be a valid integer, unable to parse string as an integer")


def size(body: CreateBody, refuse: Refuse) -> tuple[int, int] | None:
    """Return width and height in pixels, or None if the size is left out."""
    value = body.fields.get("size")
    if value is None or value == "":
        return None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse("size", "Input should be WIDTHxHEIGHT")
    return int(match[1]), int(match[2])


def options(body: CreateBody, names: Iterable[str]) -> dict[str, object]:
    """Return the given options that the server knows; others are dropped."""
    found = {name: body.fields[name] for name in names if body.fields.get(name) is not None}
    return {name: _value(value) if body.form else value for name, value in found.items()}


def video(prompt: str, model: str, sides: tuple[int, int], seconds: float) -> VideoSpec:
    """Return the nearest possible video: encoders need even sides, tests small ones."""
    width, height = (2 * (min(max(side, _SIDE_MIN), _SIDE_MAX) // 2) for side in sides)
    return VideoSpec(
        prompt, model, width, height, seconds=min(max(round(seconds), 1), _SECONDS_MAX)
    )


def without_none(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _value(text: object) -> object:
    """Return the number in a form's text, or the text."""
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text
