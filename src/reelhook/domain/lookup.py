"""Deciding, from a provider's listing, what became of creates without a response.

Nothing here pays. A create may be sent again only where its absence is proven; `domain.listing`
says what a listing proves.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reelhook.domain.event import Instant
from reelhook.domain.job import VideoRequest
from reelhook.domain.listing import Doubt, Listing
from reelhook.domain.report import Entry

DELAY_MARGIN_MILLISECONDS = 5000
DELAYS_WITH_A_LATER_ENTRY = 2
DELAYS_WITHOUT = 5
"""How many times the longest delay, with which entries of ours have appeared, is waited for."""

UNSUPPORTED = "it has none"
AMBIGUOUS = "the listing shows a video that may be this one"
UNMEASURED = "it is not known how soon the listing shows a new video"
CONTENDED = "another account of this server has an unresolved create of the same request"


@dataclass(frozen=True, slots=True)
class Others:
    """Creates of other jobs that may have unclaimed entries in the listing.

    `ended`: their jobs ended without an answer to the create. `elsewhere`: other accounts of the
    same server have no answer to them yet. `open`: so has this account, and they may still appear.
    """

    ended: Sequence[VideoRequest] = ()
    elsewhere: Sequence[VideoRequest] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """`found`: job id to entry. `absent`: the provider definitely has no such job. `unknown`: it
    can't be decided, by job id and with the reason.
    """

    found: Mapping[str, Entry] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)


def resolve(
    doubts: Sequence[Doubt],
    listing: Listing,
    *,
    now: Instant,
    settle_milliseconds: int,
    others: Others = Others(),
) -> Resolution:
    """Match unresolved creates to unclaimed entries, one to one, and judge what is left.

    Identical requests are interchangeable, so they share one verdict and wait for the youngest.
    Nothing is decided about them before `settle_milliseconds` have passed, except what is found.
    """
    return _Look(doubts, listing, others, settle_milliseconds).resolve(now)


def deadline(doubt: Doubt, listing_delay: int | None, settle_milliseconds: int) -> Instant:
    """Return when a doubt is decided at the latest, unless something may still change that."""
    if listing_delay is None:
        return doubt.since + 2 * settle_milliseconds
    wait = DELAYS_WITHOUT * listing_delay + DELAY_MARGIN_MILLISECONDS
    return doubt.since + max(settle_milliseconds, wait)


class _Look:
    """One look at the listing."""

    def __init__(
        self,
        doubts: Sequence[Doubt],
        listing: Listing,
        others: Others,
        settle_milliseconds: int,
    ) -> None:
        self._listing = listing
        self._others = others
        self._settle = settle_milliseconds
        self._left = list(listing.unclaimed())
        self._taken = [e for e in listing.entries if _adopted(listing, e)]
        self._found: dict[str, Entry] = {}
        self._groups: dict[VideoRequest, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            self._groups[_asked(doubt.request)].append(doubt)
        self._elsewhere = {_asked(one) for one in others.elsewhere}
        ended = [_asked(one) for one in others.ended]
        self._rivals = _Rivals({*self._groups, *ended, *self._elsewhere})
        # The most specific requests choose first: an entry that fits them fits vaguer ones as well.
        for request in sorted(self._groups, key=_vagueness):
            self._assign(request)
        self._exchange()
        for request in ended:
            self._explain(request)

    def resolve(self, now: Instant) -> Resolution:
        absent: list[str] = []
        unknown: dict[str, str] = {}
        for request, group in self._groups.items():
            rest = [doubt for doubt in group if doubt.job_id not in self._found]
            if not rest:
                continue
            verdicts = [self._why_not(request, doubt, now) for doubt in rest]
            if _WAIT in verdicts:
                continue
            reason = next((one for one in verdicts if one is not None), None)
            if reason is None:
                absent += [doubt.job_id for doubt in rest]
            else:
                unknown.update((doubt.job_id, reason) for doubt in rest)
        return Resolution(self._found, tuple(absent), unknown)

    # -- matching -------------------------------------------------------------------------------

    def _assign(self, request: VideoRequest) -> None:
        """Give each doubt the oldest entry of its window, which is the least use to the others.

        Who has waited longest chooses first: the others can still wait for an entry of their own.
        """
        if request in self._elsewhere:
            return
        listing = self._listing
        ours = (e for e in self._left if _is(request, e) and not self._rivals.claim(request, e))
        candidates = sorted(ours, key=self._age)
        for doubt in sorted(self._groups[request], key=lambda one: (one.since, one.sent_at)):
            entry = next((e for e in candidates if listing.in_window(doubt, e)), None)
            if entry is not None:
                candidates.remove(entry)
                self._left.remove(entry)
                self._taken.append(entry)
                self._found[doubt.job_id] = entry

    def _exchange(self) -> None:
        """Find entries for doubts that were left without, where others can take another one.

        Of two requests neither may be the more specific: one names a length, the other a size.
        """
        by_prompt: dict[str | None, list[Entry]] = defaultdict(list)
        for entry in self._listing.unclaimed():
            by_prompt[entry.prompt].append(entry)
        owners = {
            self._found[doubt.job_id].provider_job_id: (request, doubt)
            for request, group in self._groups.items()
            for doubt in group
            if doubt.job_id in self._found
        }
        for request, group in self._groups.items():
            for doubt in group:
                if doubt.job_id not in self._found:
                    self._hand_on(request, doubt, by_prompt[request.prompt], owners)
        free = [entry for entry in self._left if entry.provider_job_id not in owners]
        self._taken += [entry for entry in self._left if entry.provider_job_id in owners]
        self._left = free

    def _hand_on(
        self,
        request: VideoRequest,
        doubt: Doubt,
        entries: Sequence[Entry],
        owners: dict[str, tuple[VideoRequest, Doubt]],
    ) -> None:
        """Give a doubt an entry on the shortest way of doubts that each take the next one's."""
        takers: dict[str, Doubt] = {}
        waiting = deque([(request, doubt)])
        while waiting:
            asked, one = waiting.popleft()
            for entry in entries:
                name = entry.provider_job_id
                if name in takers or not self._may_take(asked, one, entry):
                    continue
                takers[name] = one
                if name in owners:
                    waiting.append(owners[name])
                    continue
                self._take_in_turn(entry, takers, owners)
                return

    def _take_in_turn(
        self,
        entry: Entry,
        takers: Mapping[str, Doubt],
        owners: dict[str, tuple[VideoRequest, Doubt]],
    ) -> None:
        left: Entry | None = entry
        while left is not None:
            taker = takers[left.provider_job_id]
            owners[left.provider_job_id] = (_asked(taker.request), taker)
            before = self._found.get(taker.job_id)
            self._found[taker.job_id] = left
            left = before

    def _may_take(self, request: VideoRequest, doubt: Doubt, entry: Entry) -> bool:
        return (
            request not in self._elsewhere
            and _is(request, entry)
            and not self._rivals.claim(request, entry)
            and self._listing.in_window(doubt, entry)
        )

    def _age(self, entry: Entry) -> float:
        """Return what is less for older entries; one without a time fits all, so it goes last."""
        if self._listing.ordered:
            return -self._listing.place[entry.provider_job_id]
        return float("inf") if entry.created_at is None else entry.created_at

    def _explain(self, request: VideoRequest) -> None:
        """Take one entry that a job which ended without an answer must have left."""
        entry = next((e for e in self._left if _is(request, e)), None)
        if entry is not None and not self._rivals.claim(request, entry):
            self._left.remove(entry)
            self._taken.append(entry)

    # -- judging --------------------------------------------------------------------------------

    def _why_not(self, request: VideoRequest, doubt: Doubt, now: Instant) -> str | None:
        """Return why absence is not proven, `_WAIT` while it may still be, None where it is."""
        listing, delay = self._listing, self._listing.facts.delay_max
        waited = now - doubt.since
        if waited < self._settle:
            return _WAIT
        if not listing.supported:
            return UNSUPPORTED
        due = now >= deadline(doubt, delay, self._settle)
        soon = delay is not None and waited >= DELAYS_WITH_A_LATER_ENTRY * delay
        if not due and not (soon and listing.shows_later_than(doubt)):
            return _WAIT
        changing = waited < self._settle + deadline(doubt, delay, self._settle) - doubt.since
        if request in self._elsewhere:
            return _WAIT if changing else CONTENDED
        if (reason := listing.why_not(doubt)) is not None:
            return reason
        if any(self._may_be(request, doubt, entry) for entry in self._left):
            return _WAIT if self._others.open and changing else AMBIGUOUS
        if any(
            listing.may_be_newer(doubt, entry)
            and not _is(request, entry)  # else either could have it, and one is as good
            and listing.may_be_altered(request, entry)
            for entry in self._taken
        ):
            return AMBIGUOUS
        if delay is None and not listing.shows_later_than(doubt):
            return UNMEASURED
        return None

    def _may_be(self, request: VideoRequest, doubt: Doubt, entry: Entry) -> bool:
        listing = self._listing
        if listing.may_be_newer(doubt, entry):
            return listing.may_be(request, entry)
        return listing.may_be_below(request, entry)


_WAIT = ""
"""No reason yet."""


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


def _asked(request: VideoRequest) -> VideoRequest:
    """Reduce a request to what was sent to the provider, so that equal ones are interchangeable."""
    return replace(
        request,
        script=request.prompt,
        direction=None,
        wallet_address=None,
        fallbacks=(),
    )


def _unshown(asked: VideoRequest) -> tuple[object, ...]:
    return asked.model, asked.aspect_ratio, asked.image, asked.seed, asked.provider_options


def _vagueness(request: VideoRequest) -> int:
    return (request.seconds is None) + (request.size is None)


def _adopted(listing: Listing, entry: Entry) -> bool:
    one = listing.known.get(entry.provider_job_id)
    return one is not None and not one.created


def _is(request: VideoRequest, entry: Entry) -> bool:
    """Whether an entry shows the request's prompt word for word, and contradicts nothing in it."""
    if entry.prompt != request.prompt:
        return False
    if entry.model is not None and request.model not in {entry.model, *entry.also_called}:
        return False
    pairs = ((request.seconds, entry.seconds), (request.size, entry.size))
    return all(asked is None or shown is None or asked == shown for asked, shown in pairs)
