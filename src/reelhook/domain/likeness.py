"""Which requests a listed entry may stand for, by what listings show."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from reelhook.domain.job import VideoRequest
from reelhook.domain.report import Entry


class Rivals:
    """Requests that differ in what a listing may not show: an entry may be the one's or another's.

    An image, a seed, options and a ratio are never shown, and a model not by every server.
    """

    def __init__(self, requests: Iterable[VideoRequest]) -> None:
        self._by_prompt: dict[str, list[VideoRequest]] = defaultdict(list)
        for one in requests:
            self._by_prompt[one.prompt].append(one)

    def claim(self, request: VideoRequest, entry: Entry) -> bool:
        """Whether an entry that fits a request fits one that it must not be taken for as well."""
        return fits(request, entry) and any(
            _unshown(other) != _unshown(request) and fits(other, entry)
            for other in self._by_prompt[request.prompt]
        )


def asked(request: VideoRequest) -> VideoRequest:
    """Reduce a request to what was sent to the provider, so that equal ones are interchangeable."""
    return replace(
        request,
        script=request.prompt,
        direction=None,
        wallet_address=None,
        fallbacks=(),
    )


def _unshown(one: VideoRequest) -> tuple[object, ...]:
    return one.model, one.aspect_ratio, one.image, one.seed, one.provider_options


def vagueness(request: VideoRequest) -> int:
    """Return how many of a listing's values a request leaves open."""
    return (request.seconds is None) + (request.size is None)


def fits(request: VideoRequest, entry: Entry) -> bool:
    """Whether an entry shows the request's prompt word for word, and contradicts nothing in it."""
    if entry.prompt != request.prompt:
        return False
    named = request.model and entry.model is not None
    if named and request.model not in {entry.model, *entry.also_called}:
        return False
    pairs = ((request.seconds, entry.seconds), (request.size, entry.size))
    return all(wanted is None or shown is None or wanted == shown for wanted, shown in pairs)
