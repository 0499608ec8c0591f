"""The Video object of the OpenAI wire, read into our words.

Fields as in openai-python 3.54 (`types/video.py`). Servers that speak this wire leave out, retype
and invent: SGLang, vLLM-Omni, TensorRT-LLM, LiteLLM, Together and new-api differ in what is noted
below.
"""

from collections.abc import Callable, Mapping
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
from reelhook.providers.http.error_mapping import NO_REASON, failed
from reelhook.providers.http.json_fields import (
    milliseconds,
    moment,
    percent,
    readable_id,
    seconds,
    text,
    unknown,
    web_address,
)

_NO_STATUS = Unknown("")

Fields = Mapping[str, object]

# A round over 100,000 jobs sees as many reports, almost all of them among these.
_PERCENTS = (None, *range(101))
_QUEUED = {one: Progress(running=False, percent=one) for one in _PERCENTS}
_RUNNING = {one: Progress(running=True, percent=one) for one in _PERCENTS}


# OpenAI's words are queued, in_progress, completed and failed. Aquiles-Image says processing,
# TensorRT-LLM generating and postprocessing, SGLang deleted, and gateways pass on what the servers
# behind them say.
_WORDS = {
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
    "expired": "The provider says that the video has expired.",
}


def report(video: Fields, content_url: Callable[[], str]) -> Report | None:
    """Return what a Video says; None if it says no status. `content_url` is our way to the file."""
    match _word(video.get("status")):
        case "queued":
            return _QUEUED[percent(video.get("progress"))]
        case "in_progress":
            return _RUNNING[percent(video.get("progress"))]
        case "completed":
            expires_at = moment(video.get("expires_at"))
            return Finished(
                _url(video) or content_url(), None if expires_at is None else int(expires_at)
            )
        case "failed":
            return _failed(video)
        case "canceled" | "expired" as code:
            told = _failed(video)
            if told.code != "provider_error":
                return told
            return Failed(code, _ENDED[code] if told.message == NO_REASON else told.message)
        case _:
            return unknown(video.get("status"))


def _word(status: object) -> str | None:
    if not isinstance(status, str):
        return None
    return _WORDS.get(status) or _WORDS.get(status.strip().lower().replace("-", "_"))


def _failed(video: Fields) -> Failed:
    error = video.get("error")
    # TensorRT-LLM's is a text: words, among which nothing is a code.
    return failed({"message": error} if isinstance(error, str) and " " in error else error)


def failure(video: Fields) -> Failed | None:
    """Return the failure that a body reports which came with an HTTP error.

    vLLM-Omni answers a GET on a failed job with the error's own status and the job in the body;
    only a whole Video is believed.
    """
    if video.get("object") != "video" or readable_id(video.get("id")) is None:
        return None
    told = report(video, str)
    return told if isinstance(told, Failed) else None


def page(listing: Fields, limit: int, content_url: Callable[[str], str]) -> Page | None:
    """Return a page of the listing; None if this is no listing.

    Without `has_more` (SGLang leaves it out) a full page means that more may follow. What has no
    id can't be asked for, and is only counted.
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
        # Without a status it still is a job, and may be the one that a lost submit made.
        report(video, partial(content_url, provider_job_id)) or _NO_STATUS,
        milliseconds(moment(video.get("created_at"))),
        text(video.get("prompt")),
        model,
        seconds(video.get("seconds")) or seconds(video.get("duration")),
        text(video.get("size")),
        mark=mark,
    )


def _url(video: Fields) -> str | None:
    """Return where the file lies, if elsewhere.

    SGLang's `url` (in the cloud), `video_url` of gateways, Together's `outputs.video_url`.
    """
    outputs = video.get("outputs")
    inner = outputs.get("video_url") if isinstance(outputs, dict) else None
    given = [video.get("url"), video.get("video_url"), inner]
    return next(filter(None, map(web_address, given)), None)
