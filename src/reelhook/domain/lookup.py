"""Finding out, from a provider's listing, what became of submits without an answer.

Nothing here pays: it only says which listed entries are ours, and which jobs are surely absent.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reelhook.domain.event import Instant
from reelhook.domain.job import VideoRequest
from reelhook.domain.report import Entry

CLOCK_SLACK_MILLISECONDS = 120 * 1000
"""Listings give whole seconds on another's clock: time only narrows, with this much slack."""
PREFIX_CHARACTERS_MIN = 20


@dataclass(frozen=True, slots=True)
class Doubt:
    """A submit without an answer: what was asked, and when it was sent at the earliest."""

    job_id: str
    request: VideoRequest
    started_at: Instant
    settled: bool
    """Whether the settle time has passed since the attempt ended or its worker was replaced."""
    since: Instant = 0
    """When the attempt ended, or its worker was replaced: who settles first chooses first."""

    @property
    def window_start(self) -> Instant:
        """No entry made before this moment can be ours."""
        return self.started_at - CLOCK_SLACK_MILLISECONDS


@dataclass(frozen=True, slots=True)
class Resolution:
    """`found`: job id to entry. `absent`: surely never accepted. `unknown`: can't be told, ever."""

    found: dict[str, Entry]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]


def resolve(
    doubts: Sequence[Doubt],
    unclaimed: Iterable[Entry],
    *,
    listing_proven: bool,
    given_up: Iterable[VideoRequest] = (),
) -> Resolution:
    """Match doubts to unclaimed entries, one to one; identical requests are interchangeable.

    The listing must have been read past every doubt's window. `listing_proven`: an id that we
    created has been seen in it before (some gateways list elsewhere). Doubts of one group that
    have not settled yet stay undecided, and so do those that share their request. `given_up`: what
    was asked for by jobs that ended without an answer, or that others look up, whose entries may be
    among the unclaimed.
    """
    left = list(unclaimed)
    groups: dict[VideoRequest, list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        groups[_asked(doubt.request)].append(doubt)
    found: dict[str, Entry] = {}
    rivals = _Rivals({*groups, *map(_asked, given_up)})
    # The most specific requests choose first: an entry that fits them fits vaguer ones as well.
    for request, group in sorted(groups.items(), key=lambda item: _vagueness(item[0])):
        left = _assign(request, group, left, found, rivals)
    absent: list[str] = []
    unknown: list[str] = []
    for request, group in groups.items():
        rest = [doubt for doubt in group if doubt.job_id not in found]
        if not rest or not all(doubt.settled for doubt in rest):
            continue
        start = min(doubt.window_start for doubt in rest)
        proven = listing_proven and not any(
            _may_be(request, entry) or rivals.claim(request, entry)
            for entry in left
            if _within(start, entry)
        )
        (absent if proven else unknown).extend(doubt.job_id for doubt in rest)
    return Resolution(found, tuple(absent), tuple(unknown))


def _assign(
    request: VideoRequest,
    group: list[Doubt],
    left: list[Entry],
    found: dict[str, Entry],
    rivals: "_Rivals",
) -> list[Entry]:
    # Each takes the oldest entry of its window, which is the least use to the others; one without
    # a time would do for all, so it goes last. Whoever has settled chooses first: the others can
    # still wait for an entry of their own to show up.
    ours = (one for one in left if _is(request, one) and not rivals.claim(request, one))
    candidates = sorted(ours, key=_age)
    for doubt in sorted(
        group, key=lambda doubt: (not doubt.settled, doubt.since, doubt.started_at)
    ):
        entry = next((e for e in candidates if _within(doubt.window_start, e)), None)
        if entry:
            candidates.remove(entry)
            found[doubt.job_id] = entry
    taken = {entry.provider_job_id for entry in found.values()}
    return [entry for entry in left if entry.provider_job_id not in taken]


def _asked(request: VideoRequest) -> VideoRequest:
    """Reduce a request to what the provider was told, so that equal ones are interchangeable."""
    return replace(
        request,
        script=request.prompt,
        direction=None,
        wallet_address=None,
        fallbacks=(),
    )


class _Rivals:
    """Requests that differ in what a listing may not show: an entry may be the one's or another's.

    A picture, a seed, options and a ratio are never shown, and a model not by every server.
    """

    def __init__(self, asked: Iterable[VideoRequest]) -> None:
        self._by_prompt: dict[str, list[VideoRequest]] = defaultdict(list)
        for one in asked:
            self._by_prompt[one.prompt].append(one)

    def claim(self, request: VideoRequest, entry: Entry) -> bool:
        """Whether an entry that fits a request fits one that it must not be taken for as well."""
        return _is(request, entry) and any(
            _unshown(other) != _unshown(request) and _is(other, entry)
            for other in self._by_prompt[request.prompt]
        )


def _unshown(asked: VideoRequest) -> tuple[object, ...]:
    return asked.model, asked.aspect_ratio, asked.image, asked.seed, asked.provider_options


def _vagueness(request: VideoRequest) -> int:
    return (request.seconds is None) + (request.size is None)


def _age(entry: Entry) -> float:
    return math.inf if entry.created_at is None else entry.created_at


def _within(start: Instant, entry: Entry) -> bool:
    return entry.created_at is None or entry.created_at >= start


def _parameters_agree(request: VideoRequest, entry: Entry) -> bool:
    if entry.model is not None and request.model not in {entry.model, *entry.also_called}:
        return False
    pairs = (
        (request.seconds, entry.seconds),
        (request.size, entry.size),
    )
    return all(asked is None or shown is None or asked == shown for asked, shown in pairs)


def _is(request: VideoRequest, entry: Entry) -> bool:
    return entry.prompt == request.prompt and _parameters_agree(request, entry)


def _may_be(request: VideoRequest, entry: Entry) -> bool:
    """Whether an entry left over could be ours after all, in other words than we sent.

    It shows no prompt, or the same one with parameters that the server may have normalised, or
    one that it may have trimmed or cut.
    """
    shown, asked = " ".join((entry.prompt or "").split()), " ".join(request.prompt.split())
    if not shown:
        return True
    if shown == asked:
        return not _is(request, entry)
    stem = shown.rstrip(".…")
    return len(stem) >= PREFIX_CHARACTERS_MIN and asked.startswith(stem)
