"""A request as the API takes it, for pages: as JSON, and as a curl command."""

import json
from collections.abc import Mapping
from typing import Any

from reelhook.domain.job import Job
from reelhook.domain.labels import labels_of
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import with_media
from reelhook.doors.request_messages import WIRE_NAMES
from reelhook.doors.web.view import Site

FILE = "YOUR_FILE"
"""Stands for a file whose bytes a command can't show."""
_MEDIA_SHOWN = 300
_FIELDS = (
    *("prompt", "model", "seconds", "size", "aspect_ratio", "resolution", "seed", "audio"),
    *("negative_prompt", "image", "last_frame", "reference_images", "reference_videos"),
    *("reference_audios", "options", "fallbacks"),
)
_SENT_AGAIN = ("http://", "https://", "job:")


def body_of(request: VideoRequest, job: Job) -> dict[str, Any]:
    """Return the body that requests a job's video, with the present model. Long files are cut."""
    shown = with_media(request, lambda _, text: _shortened(text))
    values = {name: getattr(shown, name) for name in _FIELDS}
    values["model"] = f"{job.provider}/{job.model}" if job.model else job.provider
    labels = labels_of(job)
    values |= {"external_id": labels.external_id, "metadata": labels.metadata}
    return _named(values)


def repeated_body(request: VideoRequest, job: Job) -> dict[str, Any]:
    """Return the body that requests the same video once more, as another job."""
    again = with_media(request, lambda _, text: text if text.startswith(_SENT_AGAIN) else FILE)
    body = body_of(again, job)
    body.pop("externalId", None)
    return body


def json_of(body: Mapping[str, Any]) -> str:
    """Return a body as readable JSON."""
    return json.dumps(body, ensure_ascii=False, indent=2)


def curl_of(site: Site, body: Mapping[str, Any]) -> str:
    """Return the command that sends a body to this server."""
    text = json_of(body).replace("'", "'\\''")
    key = '  -H "Authorization: Bearer $REELHOOK_API_KEY" \\\n' if site.has_session else ""
    return (
        f"curl {site.address}/api/generate \\\n{key}"
        f"  -H 'Content-Type: application/json' \\\n  -d '{text}'"
    )


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set, by the names that the API has for them."""
    return {
        WIRE_NAMES.get(name, name): value
        for name, value in values.items()
        if value is not None and value not in ((), {}, "")
    }


def _shortened(text: str) -> str:
    if len(text) <= _MEDIA_SHOWN:
        return text
    return f"{text[:_MEDIA_SHOWN]}… ({len(text)} characters)"
