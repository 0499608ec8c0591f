"""Reads the results of fal's apps: the video, the error, and the units that are charged."""

from reelhook.domain.report import Cost, Failed, Finished, Report
from reelhook.providers.http.error_mapping import failure_from, not_understood
from reelhook.providers.http.json_fields import Fields, number, text, web_address
from reelhook.providers.http.response import ProviderResponse

_VIDEO_FIELDS = ("video", "videos", "output", "data", "result")
_DEPTH_MAX = 8
_NO_FILE = "The request is completed, but its result has no video."


def file_report(result: ProviderResponse) -> Report:
    """Return the video's address. Raises `ProviderError` if this is not the result of an app.

    Only an object without any address means that there is no file.
    """
    fields = result.fields()
    if url := video_url(fields):
        return Finished(url, cost=units(result))
    values = [fields.get(key) for key in _VIDEO_FIELDS]
    values += [value.get("url") for value in values if isinstance(value, dict)]
    if not result.is_object() or any(isinstance(value, int | float) for value in values):
        raise not_understood(result, "the result of a request")
    return Failed("content_missing", _NO_FILE, units(result))


def failed_report(status: Fields) -> Failed:
    """Return the failure that a status reports."""
    return failure_from({"type": status.get("error_type"), "message": status.get("error")})


def error_kind(response: ProviderResponse) -> str | None:
    """Return the machine-readable type of an error: the app's in the body, or fal's own.

    Source: fal's documentation, "Model errors" and "Request errors".
    """
    detail = response.fields().get("detail")
    first = detail[0] if isinstance(detail, list) and detail else None
    kind = first.get("type") if isinstance(first, dict) else None
    own_type = response.fields().get("error_type")
    return text(kind) or text(own_type) or response.headers.get("x-fal-error-type")


def units(result: ProviderResponse) -> Cost | None:
    """Return the charged amount, in the unit of the app: seconds, megapixels, videos."""
    amount = number(result.headers.get("x-fal-billable-units"))
    return None if amount is None or amount < 0 else Cost(amount, "units")


def video_url(result: Fields) -> str | None:
    """Return the video's address, from the fields that apps use for it."""
    for key in _VIDEO_FIELDS:
        if url := _url_in(result.get(key)):
            return url
    return web_address(text(result.get("video_url")) or text(result.get("url")))


def _url_in(value: object, depth: int = 0) -> str | None:
    if depth > _DEPTH_MAX:
        return None
    match value:
        case str():
            return web_address(value)
        case [first, *_]:
            return _url_in(first, depth + 1)
        case dict():
            inner = (_url_in(value.get(key), depth + 1) for key in ("video", "videos"))
            return web_address(value.get("url")) or next(filter(None, inner), None)
        case _:
            return None
