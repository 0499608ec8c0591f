"""Ark's ContentGenerationTask, read into our words.

Fields as in volcengine-ark-runtime 5.0.54 (`types/content_generation/content_generation_task.py`);
`expired` and how long a video is kept from the API reference, "Query a video generation task".
"""

from collections.abc import Mapping

from reelhook.domain.report import Cost, Entry, Failed, Finished, Progress, Report, Unknown
from reelhook.providers.http.error_mapping import NO_REASON, failed
from reelhook.providers.http.json_fields import (
    absent,
    milliseconds,
    moment,
    number,
    readable_id,
    seconds,
    text,
    unknown,
    web_address,
)

Fields = Mapping[str, object]

VIDEO_SECONDS = 24 * 3600
"""How long a finished video is kept; `updated_at` is when its task succeeded."""
_NO_FILE = "The task succeeded, but it shows no video."
_CANCELED = "The task was cancelled."
_EXPIRED = "The task did not finish before it expired."


def report(task: Fields) -> Report | None:
    """Return what a task says; None if it says no status, or names its file in a way that can't be
    read. Ark tells no progress.
    """
    match task.get("status"):
        case "queued":
            return Progress(running=False)
        case "running":
            return Progress(running=True)
        case "succeeded":
            return _finished(task)
        case "failed":
            told = failed(task.get("error"))
            return Failed(told.code, told.message, _cost(task))
        case "cancelled":
            return Failed("canceled", _words(task, _CANCELED), _cost(task))
        case "expired":
            return Failed("expired", _words(task, _EXPIRED), _cost(task))
        case status:
            return unknown(status)


def entry(task: Fields) -> Entry | None:
    """Return a line of the listing, which shows no prompt; None without a usable id."""
    provider_job_id = readable_id(task.get("id"))
    if provider_job_id is None:
        return None
    return Entry(
        provider_job_id,
        # Without a status it still is a job, and may be the one that a lost submit made.
        report(task) or Unknown(""),
        created_at=milliseconds(moment(task.get("created_at"))),
        model=text(task.get("model")),
        seconds=seconds(task.get("duration")),
    )


def _finished(task: Fields) -> Finished | Failed | None:
    content = task.get("content")
    given = content.get("video_url") if isinstance(content, Mapping) else content
    url = web_address(given) if isinstance(content, Mapping) else None
    if url is None:
        return Failed("content_missing", _NO_FILE, _cost(task)) if absent(given) else None
    ended_at = moment(task.get("updated_at"))
    expires_at = None if ended_at is None else int(ended_at) + VIDEO_SECONDS
    return Finished(url, expires_at, _cost(task))


def _words(task: Fields, otherwise: str) -> str:
    said = failed(task.get("error")).message
    return otherwise if said == NO_REASON else said


def _cost(task: Fields) -> Cost | None:
    usage = task.get("usage")
    if not isinstance(usage, Mapping):
        return None
    told = (number(usage.get(name)) for name in ("total_tokens", "completion_tokens"))
    tokens = next((one for one in told if one is not None), None)
    return None if tokens is None or tokens < 0 else Cost(tokens, "tokens")
