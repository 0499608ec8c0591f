"""From the Video object of `/v1/videos` to reelhook's reports and entries.

Fields as in openai-python 3.54 (`types/video.py`). Servers leave fields out, change their types and
add some: SGLang, vLLM-Omni, TensorRT-LLM, LiteLLM, Together and new-api differ as noted below.
"""

from collections.abc import Callable
from functools import partial

from reelhook.domain.model_mark import unmarked
from reelhook.domain.report import (
    Entry,
    Failed,
    Finished,
    Page,
    Progress,
    Report,
    Unknown,
)
from reelhook.providers.http.error_mapping import NO_REASON, failure_from
from reelhook.providers.http.json_fields import (
    Fields,
    milliseconds,
    percent,
    readable_id,
    seconds,
    text,
    unix_seconds,
    unknown,
    web_address,
)

_NO_STATUS = Unknown("")

# A round over 100,000 jobs makes as many reports; almost all of them are among these.
_PERCENTS = (None, *range(101))
_QUEUED = {value: Progress(running=False, percent=value) for value in _PERCENTS}
_RUNNING = {value: Progress(running=True, percent=value) for value in _PERCENTS}


# OpenAI's statuses are queued, in_progress, completed and failed. Aquiles-Image sends processing,
# TensorRT-LLM generating and postprocessing, SGLang deleted. Gateways pass on the statuses of their
# backends.
_STATUSES = {
    **dict.fromkeys(("queued", "pending", "submitted"), "queued"),
    **dict.fromkeys(
        ("in_progress", "processing", "running", "generating", "postprocessing"), "in_progress"
    ),
    **dict.fromkeys(("completed", "succeeded", "success", "done"), "completed"),
    **dict.fromkeys(("failed", "error"), "failed"),
    **dict.fromkeys(("canceled", "cancelled", "deleted"), "canceled"),
    "expired": "expired",
}
_ENDED = {
    "canceled": "The video was canceled or deleted at the provider.",
    "expired": "The provider reports that the video has expired.",
}


def report(video: Fields, content_url: Callable[[], str]) -> Report | None:
    """Return the report on a Video; None without a status. `content_url` gives the file's URL."""
    match _status(video.get("status")):
        case "queued":
            return _QUEUED[percent(video.get("progress"))]
        case "in_progress":
            return _RUNNING[percent(video.get("progress"))]
        case "completed":
            expires_at = unix_seconds(video.get("expires_at"))
            return Finished(
                _url(video) or content_url(), None if expires_at is None else int(expires_at)
            )
        case "failed":
            return _failed(video)
        case "canceled" | "expired" as code:
            failed = _failed(video)
            if failed.code != "provider_error":
                return failed
            return Failed(code, _ENDED[code] if failed.message == NO_REASON else failed.message)
        case _:
            return unknown(video.get("status"))


def _status(status: object) -> str | None:
    if not isinstance(status, str):
        return None
    return _STATUSES.get(status) or _STATUSES.get(status.strip().lower().replace("-", "_"))


def _failed(video: Fields) -> Failed:
    error = video.get("error")
    # TensorRT-LLM's error is a sentence, without a code.
    return failure_from({"message": error} if isinstance(error, str) and " " in error else error)


def failure(video: Fields) -> Failed | None:
    """Return the failure of a job that is reported with an HTTP error.

    vLLM-Omni answers the GET of a failed job with the error's own status and the job in the body.
    Only a complete Video counts.
    """
    if video.get("object") != "video" or readable_id(video.get("id")) is None:
        return None
    read = report(video, str)
    return read if isinstance(read, Failed) else None


def page(listing: Fields, limit: int, content_url: Callable[[str], str]) -> Page | None:
    """Return a page of the listing; None if this is not a listing.

    Without `has_more` (SGLang omits it) a full page means that more may follow. An entry without an
    id can't be read, and is only counted.
    """
    lines = listing.get("data")
    if not isinstance(lines, list):
        return None
    read = [_entry(line, content_url) if isinstance(line, dict) else None for line in lines]
    entries = tuple(entry for entry in read if entry is not None)
    has_more = listing.get("has_more")
    more = has_more if isinstance(has_more, bool) else len(lines) >= limit
    return Page(entries, more, unreadable=len(read) - len(entries))


def _entry(video: Fields, content_url: Callable[[str], str]) -> Entry | None:
    provider_job_id = readable_id(video.get("id"))
    if provider_job_id is None:
        return None
    model = text(video.get("model"))
    model, mark = (None, None) if model is None else unmarked(model)
    return Entry(
        provider_job_id,
        # Even without a status it is a job, maybe the one of a create whose response was lost.
        report(video, partial(content_url, provider_job_id)) or _NO_STATUS,
        milliseconds(unix_seconds(video.get("created_at"))),
        text(video.get("prompt")),
        model,
        seconds(video.get("seconds")) or seconds(video.get("duration")),
        text(video.get("size")),
        mark=mark,
        remix_of=_remix_of(video),
    )


def _remix_of(video: Fields) -> str | None:
    """Return the id of the remixed video; empty if it is shown as null, None if not shown."""
    if "remixed_from_video_id" not in video:
        return None
    return readable_id(video["remixed_from_video_id"]) or ""


def _url(video: Fields) -> str | None:
    """Return the file's address if it is not at the server.

    It is in SGLang's `url` (in the cloud), `video_url` of gateways, or Together's
    `outputs.video_url`.
    """
    outputs = video.get("outputs")
    inner = outputs.get("video_url") if isinstance(outputs, dict) else None
    addresses = [video.get("url"), video.get("video_url"), inner]
    return next(filter(None, map(web_address, addresses)), None)
