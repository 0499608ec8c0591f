"""Comparison of requests with the entries of a provider's listing, by the fields it shows."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest


class CompetingRequests:
    """Requests that differ only in fields that a listing may not show: an entry may fit several.

    No listing shows media, a seed, options or an aspect ratio, and some show no model.
    """

    def __init__(self, requests: Iterable[VideoRequest]) -> None:
        self._by_prompt: dict[str, list[VideoRequest]] = defaultdict(list)
        for request in requests:
            self._by_prompt[request.prompt].append(request)

    def also_fit(self, request: VideoRequest, entry: Entry) -> bool:
        """Return True if an entry fits this request and a different one as well."""
        return fits(request, entry) and any(
            _not_listed_fields(other) != _not_listed_fields(request) and fits(other, entry)
            for other in self._by_prompt[request.prompt]
        )


def as_sent(request: VideoRequest) -> VideoRequest:
    """Reduce a request to the fields sent to its provider, so that equal ones are interchangeable.

    The options become their JSON: 1 and True are equal in Python, but not to a provider.
    """
    options = {"json": request.options_json}
    return replace(request, title="", options=options, fallbacks=(), door_fields={})


def _not_listed_fields(request: VideoRequest) -> tuple[object, ...]:
    """Return the fields that no listing shows."""
    sent = as_sent(request)
    return (replace(sent, seconds=None, size=None), sent.options["json"])


def unspecified(request: VideoRequest) -> int:
    """Return the number of listed values that a request leaves open."""
    return (request.seconds is None) + (request.size is None)


def fits(request: VideoRequest, entry: Entry) -> bool:
    """Return True if an entry shows exactly the request's prompt and contradicts nothing in it."""
    if entry.prompt != request.prompt:
        return False
    named = request.model and entry.model is not None
    if named and request.model not in {entry.model, *entry.also_called}:
        return False
    if entry.remix_of and request.remix_of is None:
        return False
    pairs = (
        *((request.seconds, entry.seconds), (request.size, entry.size)),
        (request.remix_of, entry.remix_of),
    )
    return all(wanted is None or shown is None or wanted == shown for wanted, shown in pairs)
