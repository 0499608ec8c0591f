"""Replicate's Prediction object, read into our words.

Fields and the progress in logs as in replicate-python 1.0.7 (`prediction.py`); `aborted` from
replicate.com/docs/topics/predictions/lifecycle; `data_removed`, and what the listing shows (`input`
is among it, logs are not) from replicate-python 2.0.0b4 (`types/prediction.py`,
`resources/predictions.py`).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from yarl import URL

from reelhook.domain.report import (
    Entry,
    Failed,
    Finished,
    Progress,
    Report,
    Unknown,
)
from reelhook.providers.http.error_mapping import NO_REASON, failed
from reelhook.providers.http.json_fields import (
    iso_moment,
    milliseconds,
    percent,
    readable_id,
    seconds,
    text,
    unknown,
    web_address,
)
from reelhook.providers.replicate.models import names_of

Fields = Mapping[str, object]

OUTPUT_SECONDS = 3600
"""Files, input and logs of a prediction made over the API go an hour after it has ended."""
HIDDEN = "hidden"
"""What stands in the place of the version of a model that does not show its versions."""

_LOGS_CHARACTERS_MAX = 64 * 1024
_DEPTH_MAX = 4
_FILES_MAX = 100
"""How many addresses of an output are looked at."""
_PROGRESS = re.compile(r"\s*(?P<percentage>\d{1,9})%\s*\|.+?\|\s*\d+/\d+")
"""A line of tqdm's, as the SDK recognises it."""
_VIDEO = re.compile(r"\.(?:mp4|webm|mov|m4v|mkv|avi|gif)$", re.IGNORECASE)
_FILTERED = "(E005)"
"""Replicate's code for an input or output that was flagged as sensitive."""
_REMOVED = "The prediction succeeded, but Replicate has removed its output: it is kept for an hour."
_NO_FILE = "The prediction succeeded, but its output has no file."


def report(prediction: Fields) -> Report | None:
    """Return what a prediction says; None if it says no status."""
    match prediction.get("status"):
        case "starting":
            return Progress(running=False)
        case "processing":
            return Progress(running=True, percent=_percent(prediction.get("logs")))
        case "succeeded":
            return _finished(prediction)
        case "failed":
            told = failed(prediction.get("error"))
            return Failed("moderation", told.message) if _FILTERED in told.message else told
        case "canceled":
            return Failed("canceled", _said(prediction, "The prediction was canceled."))
        case "aborted":
            message = "The prediction passed its deadline before it could start."
            return Failed("expired", _said(prediction, message))
        case status:
            return unknown(status)


def entry(prediction: Fields) -> Entry | None:
    """Return a line of the listing; None without a usable id."""
    provider_job_id = readable_id(prediction.get("id"))
    if provider_job_id is None:
        return None
    model = text(prediction.get("model"))
    names = names_of(model or "")
    given = prediction.get("input")
    asked = given if isinstance(given, dict) else {}
    return Entry(
        provider_job_id,
        # Without a status it still is a job, and may be the one that a lost submit made.
        report(prediction) or Unknown(""),
        created_at=milliseconds(iso_moment(prediction.get("created_at"))),
        prompt=text(asked.get(names.prompt)),
        model=model,
        also_called=_also_called(model, text(prediction.get("version"))),
        seconds=seconds(asked.get(names.seconds)),
        page=_page(prediction.get("urls")),
    )


def _page(urls: object) -> str | None:
    """Return where a person sees the prediction, of which `web` is the address."""
    return web_address(urls.get("web")) if isinstance(urls, dict) else None


def _also_called(model: str | None, version: str | None) -> tuple[str, ...]:
    """Return the other names by which this model may have been asked for."""
    if version is None or version == HIDDEN:
        return ()
    return (version,) if model is None else (f"{model}:{version}", version)


def _finished(prediction: Fields) -> Finished | Failed:
    # An output may be of any type, as its model wants: one without an address has no file.
    addresses = list(islice(_addresses(prediction.get("output")), _FILES_MAX))
    if not addresses:
        removed = prediction.get("data_removed") is True
        return Failed("content_missing", _REMOVED if removed else _NO_FILE)
    # A model may put an image beside its video.
    url = next((one for one in addresses if _VIDEO.search(URL(one).path)), addresses[0])
    completed_at = iso_moment(prediction.get("completed_at"))
    return Finished(url, None if completed_at is None else int(completed_at) + OUTPUT_SECONDS)


def _addresses(output: object, depth: int = 0) -> Iterator[str]:
    """Walk through an output: a URL, a list of them, or an object that has some."""
    if depth > _DEPTH_MAX:
        return
    match output:
        case list():
            for one in output:
                yield from _addresses(one, depth + 1)
        case dict():
            for one in output.values():
                yield from _addresses(one, depth + 1)
        case _ if (url := web_address(output)) is not None:
            yield url


def _percent(logs: object) -> int | None:
    if not isinstance(logs, str):
        return None
    for line in reversed(logs[-_LOGS_CHARACTERS_MAX:].split("\n")):
        if found := _PROGRESS.match(line.strip()):
            return percent(found["percentage"])
    return None


def _said(prediction: Fields, otherwise: str) -> str:
    said = failed(prediction.get("error")).message
    return otherwise if said == NO_REASON else said
