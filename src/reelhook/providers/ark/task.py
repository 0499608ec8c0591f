"""From Ark's ContentGenerationTask to reelhook's reports and entries.

Fields as in volcengine-ark-runtime 5.0.54 (`types/content_generation/content_generation_task.py`);
`expired` and the lifetime of a video from the API reference, "Query a video generation task".
"""

from collections.abc import Mapping
from dataclasses import replace

from reelhook.domain.report import Cost, Entry, Failed, Finished, Progress, Report, Unknown
from reelhook.providers.http.error_mapping import failure_from, failure_message
from reelhook.providers.http.json_fields import (
    Fields,
    absent,
    milliseconds,
    number,
    readable_id,
    seconds,
    text,
    unix_seconds,
    unknown,
    web_address,
)

VIDEO_SECONDS = 24 * 3600
"""The lifetime of a finished video, from `updated_at` on, when its task succeeded."""
_NO_FILE = "The task succeeded, but it has no video."
_CANCELED = "The task was cancelled."
_EXPIRED = "The task did not finish before it expired."


def report(task: Fields) -> Report | None:
    """Return the report on a task; None without a status, or if its file's address is unreadable.

    Ark reports no progress.
    """
    match task.get("status"):
        case "queued":
            return Progress(running=False)
        case "running":
            return Progress(running=True)
        case "succeeded":
            return _finished(task)
        case "failed":
            return replace(failure_from(task.get("error")), cost=_cost(task))
        case "cancelled":
            return Failed("canceled", failure_message(task.get("error"), _CANCELED), _cost(task))
        case "expired":
            return Failed("expired", failure_message(task.get("error"), _EXPIRED), _cost(task))
        case status:
            return unknown(status)


def entry(task: Fields) -> Entry | None:
    """Return an entry of the listing, without a prompt; None without a usable id."""
    provider_job_id = readable_id(task.get("id"))
    if provider_job_id is None:
        return None
    return Entry(
        provider_job_id,
        # Even without a status it is a job, maybe the one of a create whose response was lost.
        report(task) or Unknown(""),
        created_at=milliseconds(unix_seconds(task.get("created_at"))),
        model=text(task.get("model")),
        seconds=seconds(task.get("duration")),
    )


def _finished(task: Fields) -> Finished | Failed | None:
    content = task.get("content")
    address = content.get("video_url") if isinstance(content, Mapping) else content
    url = web_address(address) if isinstance(content, Mapping) else None
    if url is None:
        return Failed("content_missing", _NO_FILE, _cost(task)) if absent(address) else None
    ended_at = unix_seconds(task.get("updated_at"))
    expires_at = None if ended_at is None else int(ended_at) + VIDEO_SECONDS
    return Finished(url, expires_at, _cost(task))


def _cost(task: Fields) -> Cost | None:
    usage = task.get("usage")
    if not isinstance(usage, Mapping):
        return None
    counts = (number(usage.get(name)) for name in ("total_tokens", "completion_tokens"))
    tokens = next((count for count in counts if count is not None), None)
    return None if tokens is None or tokens < 0 else Cost(tokens, "tokens")
