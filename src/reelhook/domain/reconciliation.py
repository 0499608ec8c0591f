"""Reconciliation of unresolved creates with a provider's listing.

Nothing here costs money. A create may be sent again only if its absence is proven: the provider
definitely did not accept it. `domain.listing` has the proofs.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reelhook.domain.doubt import Doubt
from reelhook.domain.event import Instant
from reelhook.domain.listing import Listing
from reelhook.domain.matching import Matching
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_match import fits

DELAY_MARGIN_MILLISECONDS = 5000
DELAYS_WITH_A_LATER_ENTRY = 2
DELAYS_WITHOUT = 5
"""The wait for an entry, in multiples of the longest measured delay."""
SETTLES_ONCE_ENDED = 0.25
"""The share of the settle time that applies if the server itself has ended the exchange."""
SETTLES_MAX = 2.5
"""The number of settle times after which an undecidable doubt is given up."""

UNSUPPORTED = "the provider has no listing"
AMBIGUOUS = "the listing shows a video that may be this one"
NAMED_MAX = 3
"""The most candidates that the message names for the person who decides."""
UNMEASURED = "it is not known how soon the listing shows a new video"
CONTENDED = "another account of this server has an unresolved create of the same request"


@dataclass(frozen=True, slots=True)
class Others:
    """Creates of other jobs that may have unclaimed entries in the listing.

    `ended`: the jobs ended without a response to the create. `elsewhere`: creates of the server's
    other accounts that are unresolved. `open`: this account has more unresolved creates, whose
    entries may still appear.
    """

    ended: Sequence[VideoRequest] = ()
    elsewhere: Sequence[VideoRequest] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """The decisions of one look at the listing.

    `found` maps job ids to entries. `absent`: the provider definitely did not accept these jobs.
    `unknown` maps undecidable jobs to the reason.
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
    """Match unresolved creates to unclaimed entries, one to one, and decide about the others.

    Identical requests are interchangeable, so they share one verdict and wait for the youngest.
    Apart from matches, nothing is decided before the settle time has passed (see `settled_at`).
    """
    return _Reconciliation(in_doubt, listing, others, settle_milliseconds).resolve(now)


def settled_at(doubt: Doubt, settle_milliseconds: int) -> Instant:
    """Return the time after which no request that is still in flight can create the job.

    A lost create may be delayed on its way, even if a gateway has responded in place of the server.
    A create that the server itself has refused is not in flight.
    """
    share = SETTLES_ONCE_ENDED if doubt.ended else 1.0
    return doubt.since + round(share * settle_milliseconds)


def given_up_at(doubt: Doubt, settle_milliseconds: int) -> Instant:
    """Return the time after which a doubt is given up if the listing is inconclusive."""
    return doubt.since + round(SETTLES_MAX * settle_milliseconds)


def deadline(doubt: Doubt, listing_delay: int | None, settle_milliseconds: int) -> Instant:
    """Return the latest time of a decision, unless new facts may still change it."""
    if listing_delay is None:
        return doubt.since + 2 * settle_milliseconds
    wait = DELAYS_WITHOUT * listing_delay + DELAY_MARGIN_MILLISECONDS
    return max(settled_at(doubt, settle_milliseconds), doubt.since + wait)


class _Reconciliation:
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
            unmatched = [doubt for doubt in group if doubt.job_id not in self._matching.found]
            if not unmatched:
                continue
            reasons = [self._why_not(request, doubt, now) for doubt in unmatched]
            if _WAIT in reasons:
                decided = self._overdue(zip(unmatched, reasons, strict=True), now)
            else:
                shared = next((reason for reason in reasons if reason is not None), None)
                decided = {doubt.job_id: shared for doubt in unmatched}
            absent += [job_id for job_id, reason in decided.items() if reason is None]
            unknown |= {job_id: reason for job_id, reason in decided.items() if reason is not None}
        return Resolution(self._matching.found, tuple(absent), unknown)

    def _overdue(
        self, reasons: Iterable[tuple[Doubt, str | None]], now: Instant
    ) -> dict[str, str | None]:
        """Return the decisions that can't wait for younger doubts: new ones may always follow."""
        return {
            doubt.job_id: reason
            for doubt, reason in reasons
            if reason != _WAIT and now >= given_up_at(doubt, self._settle)
        }

    # -- deciding -------------------------------------------------------------------------------

    def _why_not(self, request: VideoRequest, doubt: Doubt, now: Instant) -> str | None:
        """Return None if absence is proven, `_WAIT` while a proof may follow, else a reason."""
        if now < settled_at(doubt, self._settle):
            return _WAIT
        if not self._listing.supported:
            return UNSUPPORTED
        ready, given_up = self._is_ready(doubt, now), given_up_at(doubt, self._settle)
        if not ready and now < given_up:
            return _WAIT
        latest = deadline(doubt, self._listing.facts.delay_max, self._settle)
        if not self._listing.readable and now < max(given_up, latest + self._settle):
            return _WAIT  # the next read may be complete
        changing = now < min(latest + self._settle, max(given_up, latest))
        reason = self._why_never(request, doubt, changing=changing)
        if reason is not None:
            return reason
        if not ready:
            return _WAIT
        if all(self._is_ready(taker, now) for taker in self._takers_from(request, doubt)):
            if not self._may_be_exchanged(request, doubt):
                return None
            return _WAIT if changing else AMBIGUOUS
        wait = round(SETTLES_MAX * (latest - doubt.since))
        return _WAIT if now < max(given_up, doubt.since + wait) else AMBIGUOUS

    def _is_ready(self, doubt: Doubt, now: Instant) -> bool:
        """Return True if the listing would show a doubt's own entry by now."""
        delay = self._listing.facts.delay_max
        if now >= deadline(doubt, delay, self._settle):
            return True
        if delay is None or now < settled_at(doubt, self._settle):
            return False
        soon = now - doubt.since >= DELAYS_WITH_A_LATER_ENTRY * delay
        return soon and self._listing.shows_later_than(doubt)

    def _takers_from(self, request: VideoRequest, doubt: Doubt) -> Iterable[Doubt]:
        """Yield the doubts that took an entry which fits this doubt as well.

        That entry may be this doubt's own, and the taker's entry may still appear.
        """
        for entry, taker in self._matching.takers:
            if fits(request, entry) and self._listing.in_window(doubt, entry):
                yield taker

    def _may_be_exchanged(self, request: VideoRequest, doubt: Doubt) -> bool:
        """Return True if an entry is left for the taker of an entry that fits this doubt.

        The taken entry may then be this doubt's own. That taker's entry may have a taker in turn.
        """
        waiting, followed = deque([(request, doubt)]), set[str]()
        while waiting:
            wanted, owner = waiting.popleft()
            if any(
                fits(wanted, entry) and self._listing.in_window(owner, entry)
                for entry in self._matching.left
            ):
                return True
            for entry, taker in self._matching.takers:
                name = entry.provider_job_id
                if name in followed or not fits(wanted, entry):
                    continue
                if self._listing.in_window(owner, entry):
                    followed.add(name)
                    waiting.append((taker.request, taker))
        return False

    def _why_never(self, request: VideoRequest, doubt: Doubt, *, changing: bool) -> str | None:
        """Return the reason why waiting proves nothing, or `_WAIT` while that may be `changing`."""
        listing = self._listing
        if request in self._matching.elsewhere:
            return _WAIT if changing else CONTENDED
        if (reason := listing.why_not(doubt)) is not None:
            return reason
        if candidates := self._candidates(request, doubt):
            return _WAIT if self._others.open and changing else _ambiguous(candidates)
        if any(
            not listing.bears_another_mark(doubt, entry)
            and listing.may_be_newer(doubt, entry)
            and not fits(request, entry)  # else the two creates are interchangeable
            and listing.forms.may_be_altered(request, entry)
            for entry in self._matching.taken
        ):
            return AMBIGUOUS
        if listing.facts.delay_max is None and not listing.shows_later_than(doubt):
            return UNMEASURED
        return None

    def _candidates(self, request: VideoRequest, doubt: Doubt) -> list[Entry]:
        entries = (entry for entry in self._matching.left if self._may_be(request, doubt, entry))
        return list(islice(entries, NAMED_MAX))

    def _may_be(self, request: VideoRequest, doubt: Doubt, entry: Entry) -> bool:
        listing = self._listing
        if listing.bears_another_mark(doubt, entry):
            return False
        if listing.may_be_newer(doubt, entry):
            return listing.forms.may_be(request, entry)
        return listing.may_be_below(request, entry)


_WAIT = ""
"""The value in place of a reason while it is too early to decide."""


def _ambiguous(entries: Iterable[Entry]) -> str:
    """Return a reason that names the candidates, by their web pages if they have any."""
    return f"{AMBIGUOUS}: {', '.join(entry.page or entry.provider_job_id for entry in entries)}"
