"""The Video object of the OpenAI wire, read into our words.

Fields as in openai-python 3.54 (`types/video.py`). Servers that speak this wire leave out, retype
and invent: SGLang, vLLM-Omni, LiteLLM, Together and new-api differ in what is noted below.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from yarl import URL

from reelhook.domain.event import Instant
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

ID_CHARACTERS_MAX = 255
URL_CHARACTERS_MAX = 8192
STATUS_CHARACTERS_MAX = 100
UNIX_SECONDS_MAX = 1e11
"""The year 5138: a larger number is no moment in seconds."""

_USUAL_SECONDS = frozenset({"4", "8", "12"})
_NO_STATUS = Unknown("")

Fields = Mapping[str, object]

# A round over 100,000 jobs sees as many reports, almost all of them among these.
_PERCENTS = (None, *range(101))
_QUEUED = {percent: Progress(running=False, percent=percent) for percent in _PERCENTS}
_RUNNING = {percent: Progress(running=True, percent=percent) for percent in _PERCENTS}


def readable_id(value: object) -> str | None:
    """Return a job's id: 1 to 255 printable characters, or a whole number; else None.

    The wire's ids are strings. A gateway that numbers its jobs means the same thing: the id of a
    job that is paid for is not thrown away for its type.
    """
    if not isinstance(value, str):
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
            return str(value)
        return None
    if not 1 <= len(value) <= ID_CHARACTERS_MAX:
        return None
    if not value.isprintable() or not value.strip() or value in {".", ".."}:
        return None
    return value


def report(video: Fields, content_url: Callable[[], str]) -> Report | None:
    """Return what a Video says; None if it says no status. `content_url` is our way to the file."""
    match video.get("status"):
        case "queued":
            return _QUEUED[_percent(video.get("progress"))]
        case "in_progress":
            return _RUNNING[_percent(video.get("progress"))]
        case "completed":
            expires_at = _moment(video.get("expires_at"))
            return Finished(
                _url(video) or content_url(), None if expires_at is None else int(expires_at)
            )
        case "failed":
            return failed(video.get("error"))
        case str(status) if status.strip():
            shown = status.strip()[:STATUS_CHARACTERS_MAX]
            return Unknown(shown.encode(errors="replace").decode())
        case _:
            return None


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
        _milliseconds(_moment(video.get("created_at"))),
        _text(video.get("prompt")),
        _text(video.get("model")),
        _seconds(video.get("seconds")),
        _text(video.get("size")),
    )


def _url(video: Fields) -> str | None:
    """Return where the file lies: SGLang's `url` (in the cloud), Together's `outputs.video_url`."""
    outputs = video.get("outputs")
    given = [video.get("url"), outputs.get("video_url") if isinstance(outputs, dict) else None]
    return next((url for url in given if isinstance(url, str) and _is_web_address(url)), None)


def _is_web_address(text: str) -> bool:
    if len(text) > URL_CHARACTERS_MAX or not text.isprintable():
        return False
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)


def _percent(value: object) -> int | None:
    if type(value) is int and 0 <= value <= 100:
        return value
    number = _number(value)
    return None if number is None else int(min(max(number, 0), 100))


def _moment(value: object) -> float | None:
    """Return Unix seconds; Together's are fractions."""
    if type(value) is int and 0 < value < UNIX_SECONDS_MAX:
        return value
    number = _number(value)
    return number if number is not None and 0 < number < UNIX_SECONDS_MAX else None


def _milliseconds(seconds: float | None) -> Instant | None:
    return None if seconds is None else round(seconds * 1000)


def _seconds(value: object) -> str | None:
    if type(value) is str and value in _USUAL_SECONDS:
        return value
    number = _number(value)
    if number is None:
        return _text(value)
    if number <= 0:  # the zero of a server that does not show it
        return None
    return str(int(number)) if number.is_integer() else str(number)


def _text(value: object) -> str | None:
    """Return a text that is shown; an empty one is how some servers leave it out."""
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
