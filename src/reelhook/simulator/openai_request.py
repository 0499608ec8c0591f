"""Reads what a request of the OpenAI wire asks for; raises Refusal naming the parameter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import VideoSpec

MODEL = "sora-2"
"""The only model that is listed; others are made all the same."""
PROMPT_CHARACTERS_MAX = 32_000
SECONDS_MAX = 60
PIXELS_MIN, PIXELS_MAX = 64, 2048
LIMIT_DEFAULT, LIMIT_MAX = 20, 100

_SIZE = re.compile(r"([0-9]{2,4})x([0-9]{2,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A page of the listing: up to `limit` (0..100) jobs after the job `after`."""

    after: str | None
    limit: int
    newest_first: bool


def video_from(fields: Mapping[str, object]) -> VideoSpec:
    """Return the video that a create's fields ask for; null counts as left out."""
    width, height = _size(_given(fields, "size", "720x1280"))
    return VideoSpec(
        prompt=_prompt(fields.get("prompt")),
        model=_model(_given(fields, "model", MODEL)),
        width=width,
        height=height,
        seconds=_seconds(_given(fields, "seconds", "4")),
    )


def page_query(query: Mapping[str, str]) -> PageQuery:
    """Return the page that a listing's query asks for."""
    limit = query.get("limit", str(LIMIT_DEFAULT))
    if not _is_whole(limit) or int(limit) > LIMIT_MAX:
        _refuse("limit", f"must be a whole number from 0 to {LIMIT_MAX}")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        _refuse("order", "must be asc or desc")
    return PageQuery(query.get("after"), int(limit), newest_first=order == "desc")


def _given(fields: Mapping[str, object], name: str, default: object) -> object:
    value = fields.get(name)
    return default if value is None else value


def _prompt(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= PROMPT_CHARACTERS_MAX:
        _refuse("prompt", f"is required: a text of 1 to {PROMPT_CHARACTERS_MAX} characters")
    return value


def _model(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        _refuse("model", "must be a model's name")
    return value


def _seconds(value: object) -> int:
    # Numbers are taken too, as most servers that speak this wire do.
    text = str(value) if type(value) in {str, int} else ""
    if not _is_whole(text) or not 1 <= int(text) <= SECONDS_MAX:
        _refuse("seconds", f'must be a whole number of seconds from "1" to "{SECONDS_MAX}"')
    return int(text)


def _size(value: object) -> tuple[int, int]:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    sides = [int(side) for side in match.groups()] if match else []
    if not sides or any(side % 2 or not PIXELS_MIN <= side <= PIXELS_MAX for side in sides):
        _refuse(
            "size",
            f"must be WIDTHxHEIGHT in even numbers from {PIXELS_MIN} to {PIXELS_MAX}, "
            "for example 1280x720",
        )
    return sides[0], sides[1]


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4


def _refuse(param: str, problem: str) -> NoReturn:
    raise SimulatedRefusal(400, f"{param} {problem}.", code="invalid_value", param=param)
