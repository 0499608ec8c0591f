"""Reads requests of Ark's wire. A refusal names the parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiMapping

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import VideoSpec
from reelhook.simulator.requests import json_object, size_of, video_from

PAGE_MAX = 500
_PAGE_SIZE = 10
_TIERS = ("default", "flex")
_FRAMES = {"first_frame": "image_url", "last_frame": "image_url"}
_REFERENCES = {f"reference_{kind}": f"{kind}_url" for kind in ("image", "video", "audio")}
"""The type of the content with each role; frames and references exclude each other."""


@dataclass(frozen=True, slots=True)
class ArkRequest:
    """The fields of a create."""

    video: VideoSpec
    ratio: str
    resolution: str
    tier: str
    seed: int
    callback_url: str | None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of the listing, counted from 1, and its filters; None or empty: any."""

    page_num: int
    page_size: int
    status: str | None
    ids: frozenset[str]
    model: str | None
    tier: str


async def request_from(request: web.Request) -> ArkRequest:
    """Return the fields of a create; null counts as left out."""
    body = await json_object(request)
    _check_content(body.get("content"))
    if not isinstance(body.get("generate_audio", True), bool | None):
        raise _invalid("generate_audio")
    fields = {name: value for name, value in body.items() if value is not None}
    ratio, resolution = fields.get("ratio", "16:9"), fields.get("resolution", "720p")
    size = size_of("16:9" if ratio == "adaptive" else ratio, resolution)
    if size is None:
        raise _invalid("ratio or resolution")
    video = video_from(
        {
            "prompt": _prompt(fields),
            "model": _text(fields, "model"),
            "seconds": fields.get("duration", 5),
            "size": size,
        }
    )
    tier, seed, url = fields.get("service_tier"), fields.get("seed"), fields.get("callback_url")
    return ArkRequest(
        video,
        str(ratio),
        str(resolution),
        _tier(tier),
        seed if isinstance(seed, int) else 0,
        url if isinstance(url, str) else None,
    )


def list_query(query: MultiMapping[str]) -> ListQuery:
    """Return the page that a listing's query asks for."""
    return ListQuery(
        _number(query, "page_num", 1),
        _number(query, "page_size", _PAGE_SIZE),
        query.get("filter.status"),
        frozenset(query.getall("filter.task_ids", [])),
        query.get("filter.model"),
        _tier(query.get("filter.service_tier")),
    )


def _prompt(fields: Mapping[str, object]) -> object:
    content = fields.get("content")
    if not isinstance(content, list):
        raise _missing("content")
    parts = [part for part in content if isinstance(part, dict)]
    return next((part.get("text") for part in parts if part.get("type") == "text"), None)


def _check_content(content: object) -> None:
    """Refuse roles that do not exist, that do not fit their type, or that exclude each other."""
    items = content if isinstance(content, list) else []
    typed = [item for item in items if isinstance(item, dict) and item.get("role") is not None]
    for item in typed:
        kind = (_FRAMES | _REFERENCES).get(str(item["role"]))
        file = item.get(kind) if kind is not None else None
        is_file = isinstance(file, dict) and isinstance(file.get("url"), str)
        if kind is None or item.get("type") != kind or not is_file:
            raise _invalid("content.role")
    roles = {str(item["role"]) for item in typed}
    if roles & _FRAMES.keys() and roles & _REFERENCES.keys():
        raise _invalid("content")
    if "last_frame" in roles and "first_frame" not in roles:
        raise _invalid("content")


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _missing(name)
    return value


def _tier(tier: object) -> str:
    tier = "default" if tier is None else tier
    if tier not in _TIERS:
        raise _invalid("service_tier")
    return str(tier)


def _number(query: MultiMapping[str], name: str, default: int) -> int:
    number = query.get(name, str(default))
    if not number.isascii() or not number.isdecimal() or not 1 <= int(number) <= PAGE_MAX:
        raise _invalid(name)
    return int(number)


def _missing(name: str) -> SimulatedRefusal:
    message = f"The request failed because it is missing `{name}` parameter."
    return SimulatedRefusal(400, message, code="MissingParameter", param=name)


def _invalid(name: str) -> SimulatedRefusal:
    message = f"The parameter `{name}` specified in the request is not valid."
    return SimulatedRefusal(400, message, code="InvalidParameter", param=name)
