"""Reads requests of Replicate's wire; raises refusals with Replicate's messages."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.field_types import first_wrong, is_flag, is_text, is_texts
from reelhook.simulator.job import VideoSpec
from reelhook.simulator.requests import json_object, video_from

_EVENTS = frozenset({"start", "output", "logs", "completed"})
_SIZES = {
    "16:9": "1280x720",
    "9:16": "720x1280",
    "1:1": "960x960",
    "4:3": "1104x832",
    "3:4": "832x1104",
    "21:9": "1568x672",
}
_INPUTS = {
    **dict.fromkeys(("image", "start_image", "first_frame_image"), is_text),
    **dict.fromkeys(("last_frame", "end_image", "last_frame_image"), is_text),
    **dict.fromkeys(("reference_images", "reference_videos", "reference_audios"), is_texts),
    **dict.fromkeys(("negative_prompt", "resolution", "mode"), is_text),
    "generate_audio": is_flag,
}
"""Inputs of video models, whose types Replicate checks. It ignores those that no model has."""


@dataclass(frozen=True, slots=True)
class ReplicateRequest:
    """The fields of a create."""

    video: VideoSpec
    input: Mapping[str, object]
    model: str
    version: str
    webhook: str | None
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class PredictionsQuery:
    """A page of the listing: predictions below a number, and between two times."""

    below: int | None
    created_before: float | None
    created_after: float | None


async def request_from(request: web.Request, model: str | None) -> ReplicateRequest:
    """Return the fields of a create; `model` is `owner/name` if the path names it."""
    fields = await json_object(request)
    inputs = fields.get("input")
    if not isinstance(inputs, dict):
        raise SimulatedRefusal(422, "- input is required")
    version = fields.get("version")
    if model is None:
        if not isinstance(version, str) or not version:
            raise SimulatedRefusal(422, "- version is required")
        owner_and_name, _, version = version.rpartition(":")
        model = owner_and_name or "simulator/model"
    webhook = fields.get("webhook")
    if webhook is not None and not isinstance(webhook, str):
        raise SimulatedRefusal(422, "- webhook must be a URL")
    return ReplicateRequest(
        _video(inputs, model),
        inputs,
        model,
        version if isinstance(version, str) else "hidden",
        webhook,
        _events(fields.get("webhook_events_filter")),
    )


def page_query(query: Mapping[str, str]) -> PredictionsQuery:
    """Return the page that a listing's query asks for."""
    try:
        cursor = query.get("cursor")
        below = None if cursor is None else int(base64.urlsafe_b64decode(cursor)[2:])
        return PredictionsQuery(
            below, _timestamp(query.get("created_before")), _timestamp(query.get("created_after"))
        )
    except ValueError as error:
        raise SimulatedRefusal(400, "Invalid cursor or date-time.") from error


def cursor(below: int) -> str:
    """Return the opaque cursor of the page of predictions with numbers below this one."""
    return base64.urlsafe_b64encode(f"p={below}".encode()).decode()


def _video(inputs: Mapping[str, object], model: str) -> VideoSpec:
    if wrong := first_wrong(inputs, _INPUTS):
        raise SimulatedRefusal(422, f"- input.{wrong}: Invalid type.")
    fields = {
        "prompt": inputs.get("prompt"),
        "model": model,
        "seconds": inputs.get("duration", 5),
        "size": _SIZES.get(str(inputs.get("aspect_ratio")), "1280x720"),
    }
    try:
        return video_from(fields)
    except SimulatedRefusal as refusal:
        raise SimulatedRefusal(422, f"- input.{refusal.message}") from refusal


def _events(events: object) -> frozenset[str]:
    if events is None:
        return frozenset({"output", "completed"})
    if not isinstance(events, list) or not _EVENTS.issuperset(map(str, events)):
        raise SimulatedRefusal(422, f"- webhook_events_filter takes {', '.join(sorted(_EVENTS))}")
    return frozenset(events)


def _timestamp(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
