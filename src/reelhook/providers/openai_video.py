"""The Video object of the OpenAI wire, read into our words.

Fields as in openai-python 3.54 (`types/video.py`). Servers that speak this wire leave out, retype
and invent: SGLang, vLLM-Omni, LiteLLM, Together and new-api differ in what is noted below.
"""

from collections.abc import Callable, Mapping
from functools import partial

from reelhook.domain.report import (
    Entry,
    Failed,
    Finished,
    Page,
    Progress,
    Report,
    Unknown,
)
from reelhook.providers.refusal import failed
from reelhook.providers.values import (
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


def report(video: Fields, content_url: Callable[[], str]) -> Report | None:
    """Return what a Video says; None if it says no status. `content_url` is our way to the file."""
    match video.get("status"):
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
            return failed(video.get("error"))
        case status:
            return unknown(status)


def failure(video: Fields) -> Failed | None:
    """Return the failure that a body reports which came with an HTTP error.

    vLLM-Omni answers a GET on a failed job with the error's own status and the job in the body;
    only a whole Video is believed.
    """
    if video.get("object") != "video" or readable_id(video.get("id")) is None:
        return None
    return failed(video.get("error")) if video.get("status") == "failed" else None


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
    return Entry(
        provider_job_id,
        # Without a status it still is a job, and may be the one that a lost submit made.
        report(video, partial(content_url, provider_job_id)) or _NO_STATUS,
        milliseconds(moment(video.get("created_at"))),
        text(video.get("prompt")),
        text(video.get("model")),
        seconds(video.get("seconds")),
        text(video.get("size")),
    )


def _url(video: Fields) -> str | None:
    """Return where the file lies: SGLang's `url` (in the cloud), Together's `outputs.video_url`."""
    outputs = video.get("outputs")
    given = [video.get("url"), outputs.get("video_url") if isinstance(outputs, dict) else None]
    return next(filter(None, map(web_address, given)), None)
