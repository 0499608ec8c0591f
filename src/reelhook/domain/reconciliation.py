"""Deciding, from a provider's listing, what became of creates without a response.

Nothing here pays. A create may be sent again only where its absence is proven; `domain.listing`
says what a listing proves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reelhook.domain.event import Instant
from reelhook.domain.listing import Doubt, Listing
from reelhook.domain.matching import Matching
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_match import fits

DELAY_MARGIN_MILLISECONDS = 5000
DELAYS_WITH_A_LATER_ENTRY = 2
DELAYS_WITHOUT = 5
"""How many times the longest delay, with which entries of ours have appeared, is waited for."""
SETTLES_ONCE_ENDED = 0.25
"""How much of the settle time is left where the server itself has ended the exchange."""
SETTLES_MAX = 2.5
"""After so many settle times a doubt that nothing speaks for resolving is given up."""

UNSUPPORTED = "it has none"
AMBIGUOUS = "the listing shows a video that may be this one"
NAMED_MAX = 3
"""So many of the videos that may be a job's are named to the person who decides."""
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
    in_doubt: Sequence[Doubt],
    listing: Listing,
    *,
    now: Instant,
    settle_milliseconds: int,
    others: Others = Others(),
) -> Resolution:
    """Match unresolved creates to unclaimed entries, one to one, and judge what is left.

    Identical requests are interchangeable, so they share one verdict and wait for the youngest.
    Nothing is decided about them before the settle time has passed (see `settled_at`), except what
    is found.
    """
    return _Look(in_doubt, listing, others, settle_milliseconds).resolve(now)


def settled_at(doubt: Doubt, settle_milliseconds: int) -> Instant:
    """Return from when on nothing can be under way any more that would still create the job.

    A lost create may wait somewhere on its way. So may one behind a gateway that answered for the
    server; but not one that the server itself has refused.
    """
    share = SETTLES_ONCE_ENDED if doubt.ended else 1.0
    return doubt.since + round(share * settle_milliseconds)


def given_up_at(doubt: Doubt, settle_milliseconds: int) -> Instant:
    """Return from when on a doubt isn't kept open for a listing that can't tell."""
    return doubt.since + round(SETTLES_MAX * settle_milliseconds)


def deadline(doubt: Doubt, listing_delay: int | None, settle_milliseconds: int) -> Instant:
    """Return when a doubt is decided at the latest, unless something may still change that."""
    if listing_delay is None:
        return doubt.since + 2 * settle_milliseconds
    wait = DELAYS_WITHOUT * listing_delay + DELAY_MARGIN_MILLISECONDS
    return max(settled_at(doubt, settle_milliseconds), doubt.since + wait)


class _Look:
    """One look at the listing."""

    def __init__(
        self,
        in_doubt: Sequence[Doubt],
        listing: Listing,
        others: Others,
        settle_milliseconds: int,
    ) -> None:
        self._listing = listing
        self._others = others
        self._settle = settle_milliseconds
        self._matching = Matching(in_doubt, listing, elsewhere=others.elsewhere, ended=others.ended)

    def resolve(self, now: Instant) -> Resolution:
        absent: list[str] = []
        unknown: dict[str, str] = {}
        for request, group in self._matching.groups.items():
            rest = [doubt for doubt in group if doubt.job_id not in self._matching.found]
            if not rest:
                continue
            verdicts = [self._why_not(request, doubt, now) for doubt in rest]
            if _WAIT in verdicts:
                judged = self._overdue(zip(rest, verdicts, strict=True), now)
            else:
                shared = next((one for one in verdicts if one is not None), None)
                judged = {doubt.job_id: shared for doubt in rest}
            absent += [job_id for job_id, reason in judged.items() if reason is None]
            unknown |= {job_id: reason for job_id, reason in judged.items() if reason is not None}
        return Resolution(self._matching.found, tuple(absent), unknown)

    def _overdue(
        self, verdicts: Iterable[tuple[Doubt, str | None]], now: Instant
    ) -> dict[str, str | None]:
        """Return the verdicts on those that can't wait for younger ones: more may come for ever."""
        return {
            doubt.job_id: reason
            for doubt, reason in verdicts
            if reason != _WAIT and now >= given_up_at(doubt, self._settle)
        }

    # -- judging --------------------------------------------------------------------------------

    def _why_not(self, request: VideoRequest, doubt: Doubt, now: Instant) -> str | None:
        """Return why absence is not proven, `_WAIT` while it may still be, None where it is."""
        if now < settled_at(doubt, self._settle):
            return _WAIT
        if not self._listing.supported:
            return UNSUPPORTED
        ready, given_up = self._is_ready(doubt, now), given_up_at(doubt, self._settle)
        if not ready and now < given_up:
            return _WAIT
        latest = deadline(doubt, self._listing.facts.delay_max, self._settle)
        changing = now < min(latest + self._settle, max(given_up, latest))
        reason = self._why_never(request, doubt, changing=changing)
        if reason is not None:
            return reason
        if not ready:
            return _WAIT
        if all(self._is_ready(one, now) for one in self._takers_from(request, doubt)):
            return None
        wait = round(SETTLES_MAX * (latest - doubt.since))
        return _WAIT if now < max(given_up, doubt.since + wait) else AMBIGUOUS

    def _is_ready(self, doubt: Doubt, now: Instant) -> bool:
        """Whether the listing would show a doubt's own entry by now."""
        delay = self._listing.facts.delay_max
        if now >= deadline(doubt, delay, self._settle):
            return True
        if delay is None or now < settled_at(doubt, self._settle):
            return False
        soon = now - doubt.since >= DELAYS_WITH_A_LATER_ENTRY * delay
        return soon and self._listing.shows_later_than(doubt)

    def _takers_from(self, request: VideoRequest, doubt: Doubt) -> Iterable[Doubt]:
        """Yield those that have an entry which fits this doubt as well, and may be its own.

        Theirs may then be the one that does not show yet, which would be as good for this one.
        """
        for entry, taker in self._matching.takers:
            if fits(request, entry) and self._listing.in_window(doubt, entry):
                yield taker

    def _why_never(self, request: VideoRequest, doubt: Doubt, *, changing: bool) -> str | None:
        """Return why waiting longer proves nothing; `_WAIT` where that is `changing`."""
        listing = self._listing
        if request in self._matching.elsewhere:
            return _WAIT if changing else CONTENDED
        if (reason := listing.why_not(doubt)) is not None:
            return reason
        if maybe := self._some_that_may_be(request, doubt):
            return _WAIT if self._others.open and changing else _ambiguous(maybe)
        if any(
            not listing.bears_another_mark(doubt, entry)
            and listing.may_be_newer(doubt, entry)
            and not fits(request, entry)  # else either could have it, and one is as good
            and listing.may_be_altered(request, entry)
            for entry in self._matching.taken
        ):
            return AMBIGUOUS
        if listing.facts.delay_max is None and not listing.shows_later_than(doubt):
            return UNMEASURED
        return None

    def _some_that_may_be(self, request: VideoRequest, doubt: Doubt) -> list[Entry]:
        every = (one for one in self._matching.left if self._may_be(request, doubt, one))
        return list(islice(every, NAMED_MAX))

    def _may_be(self, request: VideoRequest, doubt: Doubt, entry: Entry) -> bool:
        listing = self._listing
        if listing.bears_another_mark(doubt, entry):
            return False
        if listing.may_be_newer(doubt, entry):
            return listing.may_be(request, entry)
        return listing.may_be_below(request, entry)


_WAIT = ""
"""No reason yet."""


def _ambiguous(entries: Iterable[Entry]) -> str:
    """Name the videos, by their pages where the provider has some, for the person who decides."""
    return f"{AMBIGUOUS}: {', '.join(one.page or one.provider_job_id for one in entries)}"
