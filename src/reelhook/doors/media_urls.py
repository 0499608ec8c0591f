"""The media that a request names: each is a URL that a provider fetches, or the file itself."""

from collections.abc import Iterator
from typing import Any

from reelhook.domain.request import check_file
from reelhook.domain.request_media import MEDIA_FIELDS, is_url
from reelhook.doors.context import HttpOptions


def medium(value: Any) -> Any:
    """Return the text that stands for a medium; `{"upload": id}` is another form of the id."""
    if isinstance(value, dict) and value.keys() == {"upload"}:
        return value["upload"]
    return value


async def check_media_urls(options: HttpOptions, body: Any) -> None:
    """Raise `InvalidRequestError` if a URL of the body may not be dialled.

    `body` has the fields of `VideoRequest` by their names.
    """
    for field, kind, file in _files(body):
        if not file.startswith("data:"):
            check_file(file, field, kind)
        if is_url(file):
            await options.check_url(file, field=field, media=True)


def _files(body: Any) -> Iterator[tuple[str, str, str]]:
    """Iterate over the media: the field, the kind, and the URL."""
    for field, kind in MEDIA_FIELDS.items():
        given = getattr(body, field)
        if isinstance(given, str):
            yield field, kind, given
        elif given is not None:
            yield from ((f"{field}.{number}", kind, one) for number, one in enumerate(given))
