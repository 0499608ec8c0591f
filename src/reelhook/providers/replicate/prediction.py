"""From Replicate's Prediction object to reelhook's reports and entries.

Fields, and the progress in logs, as in replicate-python 1.0.7 (`prediction.py`); `aborted` from
replicate.com/docs/topics/predictions/lifecycle; `data_removed`, and the fields of the
listing (with `input`, without logs) from replicate-python 2.0.0b4 (`types/prediction.py`,
`resources/predictions.py`).
"""

import re
from collections.abc import Iterator
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
from reelhook.providers.http.error_mapping import failure_from, failure_message
from reelhook.providers.http.json_fields import (
    Fields,
    milliseconds,
    percent,
    readable_id,
    seconds,
    text,
    unix_seconds_of_iso,
    unknown,
    web_address,
)
from reelhook.providers.replicate.models import names_of

OUTPUT_SECONDS = 3600
"""Replicate removes files, input and logs of an API prediction an hour after its end."""
HIDDEN = "hidden"
"""The version of a model that does not show its versions."""

_LOGS_CHARACTERS_MAX = 64 * 1024
_DEPTH_MAX = 4
_FILES_MAX = 100
"""The number of addresses of an output that are considered."""
_PROGRESS = re.compile(r"\s*(?P<percentage>\d{1,9})%\s*\|.+?\|\s*\d+/\d+")
"""A progress line of tqdm, as the SDK recognises it."""
_VIDEO = re.compile(r"\.(?:mp4|webm|mov|m4v|mkv|avi|gif)$", re.IGNORECASE)
_FILTERED = "(E005)"
"""Replicate's code for an input or output that is flagged as sensitive."""
_REMOVED = "The prediction succeeded, but its output was removed: Replicate keeps it for an hour."
_CANCELED = "The prediction was canceled."
_ABORTED = "The prediction passed its deadline before it could start."
_NO_FILE = "The prediction succeeded, but its output has no file."


def report(prediction: Fields) -> Report | None:
    """Return the report on a prediction; None without a status."""
    match prediction.get("status"):
        case "starting":
            return Progress(running=False)
        case "processing":
            return Progress(running=True, percent=_percent(prediction.get("logs")))
        case "succeeded":
            return _finished(prediction)
        case "failed":
            failure = failure_from(prediction.get("error"))
            is_filtered = _FILTERED in failure.message
            return Failed("moderation", failure.message) if is_filtered else failure
        case "canceled":
            return Failed("canceled", failure_message(prediction.get("error"), _CANCELED))
        case "aborted":
            return Failed("expired", failure_message(prediction.get("error"), _ABORTED))
        case status:
            return unknown(status)


def entry(prediction: Fields) -> Entry | None:
    """Return an entry of the listing; None without a usable id."""
    provider_job_id = readable_id(prediction.get("id"))
    if provider_job_id is None:
        return None
    model = text(prediction.get("model"))
    names = names_of(model or "")
    inputs = prediction.get("input")
    inputs = inputs if isinstance(inputs, dict) else {}
    return Entry(
        provider_job_id,
        # Even without a status it is a job, maybe the one of a create whose response was lost.
        report(prediction) or Unknown(""),
        created_at=milliseconds(unix_seconds_of_iso(prediction.get("created_at"))),
        prompt=text(inputs.get(names.prompt)),
        model=model,
        also_called=_also_called(model, text(prediction.get("version"))),
        seconds=seconds(inputs.get(names.seconds)),
        page=_page(prediction.get("urls")),
    )


def _page(urls: object) -> str | None:
    """Return the address of the prediction's web page for people, `urls.web`."""
    return web_address(urls.get("web")) if isinstance(urls, dict) else None


def _also_called(model: str | None, version: str | None) -> tuple[str, ...]:
    """Return the other names under which this model may have been requested."""
    if version is None or version == HIDDEN:
        return ()
    return (version,) if model is None else (f"{model}:{version}", version)


def _finished(prediction: Fields) -> Finished | Failed:
    # The output's type depends on the model. Without any address there is no file.
    addresses = list(islice(_addresses(prediction.get("output")), _FILES_MAX))
    if not addresses:
        removed = prediction.get("data_removed") is True
        return Failed("content_missing", _REMOVED if removed else _NO_FILE)
    # A model may return an image in addition to its video.
    url = next((a for a in addresses if _VIDEO.search(URL(a).path)), addresses[0])
    completed_at = unix_seconds_of_iso(prediction.get("completed_at"))
    return Finished(url, None if completed_at is None else int(completed_at) + OUTPUT_SECONDS)


def _addresses(output: object, depth: int = 0) -> Iterator[str]:
    """Yield the addresses in an output: a URL, a list of URLs, or an object with some."""
    if depth > _DEPTH_MAX:
        return
    match output:
        case list():
            for item in output:
                yield from _addresses(item, depth + 1)
        case dict():
            for item in output.values():
                yield from _addresses(item, depth + 1)
        case _ if (url := web_address(output)) is not None:
            yield url


def _percent(logs: object) -> int | None:
    if not isinstance(logs, str):
        return None
    for line in reversed(logs[-_LOGS_CHARACTERS_MAX:].split("\n")):
        if match := _PROGRESS.match(line.strip()):
            return percent(match["percentage"])
    return None
