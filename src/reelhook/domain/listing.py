"""A provider's listing, and the proofs that it allows about a create whose response was lost.

Proofs rely on the order, not on clocks. A create stores the newest entries that were known before
it was sent. Its entry must be above them in the listing: that part is its window.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.event import Instant
from reelhook.domain.listed_forms import ListedForms
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

ORDER_MARGIN_MILLISECONDS = 2000
"""The margin by which a time must precede another to count as earlier: workers' clocks differ."""
INVERSION_MILLISECONDS = 5000
"""The most by which `created_at` may rise further down in a listing that is newest first."""
CLOCK_SLACK_MILLISECONDS = 120 * 1000
"""The assumed error of a provider's clock while no entry of ours shows its offset."""
OFFSET_SLACK_MILLISECONDS = 5000
"""The assumed deviation from an offset that our entries show."""
EXPECTED_MILLISECONDS = 24 * 3600 * 1000
"""The age up to which the listing must still show our entries to be trusted."""
UNANCHORED_ENTRIES_MAX = 10
"""A longer listing without any entry that we knew before may show only the newest entries."""


@dataclass(frozen=True, slots=True)
class ListingFacts:
    """The facts learned about an account's listing, at one server and with one credential.

    `first_id` is the newest entry of the first read, at `first_read_at`; empty: there was none;
    None: not read yet. `delay_max` is the longest time, in milliseconds, that one of our entries
    took to appear; None: never measured. `models` has the models of entries that we created and saw
    listed. `server` has the adapter's findings (`Provider.learnt`).
    """

    fingerprint: str
    first_id: str | None = None
    first_read_at: Instant = 0
    delay_max: int | None = None
    models: frozenset[str] = frozenset()
    server: str = ""

    def with_delay(self, milliseconds: int) -> "ListingFacts":
        """Return the facts with another measured delay."""
        return replace(self, delay_max=max(milliseconds, self.delay_max or 0))

    def with_model(self, *models: str) -> "ListingFacts":
        """Return the facts with more models whose entries were seen in the listing."""
        return replace(self, models=self.models.union(models))

    def read_first(self, first_id: str, now: Instant) -> "ListingFacts":
        """Return the facts with the newest entry before any of ours."""
        return replace(self, first_id=first_id, first_read_at=now)


@dataclass(frozen=True)
class Listing:
    """A listing, read from `read_at` on. The provider claims that it is newest first.

    `ended`: read to its end. `readable`: no entry was skipped. `supported`: the provider has a
    listing. `expected` maps entries of ours to the time of their acceptance: the listing must show
    them, if it was read that far.
    """

    entries: tuple[Entry, ...]
    ended: bool
    readable: bool
    read_at: Instant
    facts: ListingFacts
    supported: bool = True
    known: Mapping[str, Known] = field(default_factory=dict)
    expected: Mapping[str, Instant] = field(default_factory=dict)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The index of each entry; 0 is the newest."""
        return {entry.provider_job_id: at for at, entry in enumerate(self.entries)}

    def unclaimed(self) -> Iterator[Entry]:
        """Yield the entries that belong to no job of ours."""
        return (entry for entry in self.entries if entry.provider_job_id not in self.known)

    # -- order ----------------------------------------------------------------------------------

    @cached_property
    def ordered(self) -> bool:
        """True if our entries prove that it is newest first, and nothing contradicts that."""
        return self._pairs_agree and self._times_agree

    @property
    def _pairs_agree(self) -> bool:
        """True if the older of two entries whose order we know is always below the newer one."""
        ours = [
            (self.known[entry_id], at)
            for entry_id, at in self.place.items()
            if entry_id in self.known
        ]
        first = self.place.get(self.facts.first_id or "")
        since = self.facts.first_read_at + ORDER_MARGIN_MILLISECONDS
        new = [at for known, at in ours if known.created and (known.sent_at or 0) > since]
        if first is not None and any(at > first for at in new):
            return False
        agreed = first is not None and bool(new)
        accepted = [
            math.inf if known.accepted_at is None else known.accepted_at for known, _ in ours
        ]
        below = list(accumulate(accepted[::-1], min))[::-1]
        above = math.inf
        for number, (known, _) in enumerate(ours):
            if known.created and known.sent_at is not None:
                before = known.sent_at - ORDER_MARGIN_MILLISECONDS
                if above <= before:
                    return False
                agreed = agreed or (number + 1 < len(ours) and below[number + 1] <= before)
            above = min(above, accepted[number])
        return agreed

    @property
    def _times_agree(self) -> bool:
        lowest = math.inf
        for entry in self.entries:
            if entry.created_at is not None:
                if entry.created_at > lowest + INVERSION_MILLISECONDS:
                    return False
                lowest = min(lowest, entry.created_at)
        return True

    def anchor(self, doubt: Doubt) -> int | None:
        """Return the place of the newest entry that is known to be older than the doubt's own."""
        places = [self.place[entry_id] for entry_id in doubt.after or () if entry_id in self.place]
        return min(places, default=None)

    def window_end(self, doubt: Doubt) -> int:
        """Return the number of entries, from the top, that may be the doubt's own by their order.

        Entries with equal times have no known order: SGLang, vLLM-Omni, FastVideo and Aquiles-Image
        sort by whole seconds, and list the entries of one second oldest first. So the window ends
        at the first entry whose time is older too.
        """
        anchor = self.anchor(doubt)
        if anchor is None or not self.ordered:
            return len(self.entries)
        if anchor not in self._ends:
            self._ends[anchor] = self._first_older(anchor)
        return self._ends[anchor]

    @cached_property
    def _ends(self) -> dict[int, int]:
        """A cache of the windows' ends, by the place of the anchor."""
        return {}

    def _first_older(self, anchor: int) -> int:
        """Return the place of the first entry after the anchor whose time is older too."""
        at = self.entries[anchor].created_at
        if at is None:
            return anchor
        below = (
            place
            for place in range(anchor + 1, len(self.entries))
            if (other := self.entries[place].created_at) is not None and other < at
        )
        return next(below, len(self.entries))

    def may_be_newer(self, doubt: Doubt, entry: Entry) -> bool:
        """Return True if an entry, by its place, may have appeared after the create was sent."""
        place = self.place[entry.provider_job_id]
        return place < self.window_end(doubt) and entry.provider_job_id not in (doubt.after or ())

    # -- candidates -----------------------------------------------------------------------------

    def in_window(self, doubt: Doubt, entry: Entry) -> bool:
        """Return True if an entry with the doubt's prompt is recent enough to be its own.

        If the order is proven, its place decides; otherwise its time, if the listing shows one.
        """
        if self.window_end(doubt) < len(self.entries):
            return self.may_be_newer(doubt, entry)
        if doubt.after == () or entry.created_at is None:
            return True
        return entry.created_at >= doubt.sent_at + self._offset_min

    @cached_property
    def _offset_min(self) -> float:
        """The least lead, in milliseconds, that the provider's clock may have over ours."""
        offsets = [
            entry.created_at - known.accepted_at
            for entry in self.entries
            if entry.created_at is not None
            and (known := self.known.get(entry.provider_job_id)) is not None
            and known.created
            and known.accepted_at is not None
        ]
        if not offsets:
            return -CLOCK_SLACK_MILLISECONDS
        return min(offsets) - OFFSET_SLACK_MILLISECONDS

    def may_be_below(self, request: VideoRequest, entry: Entry) -> bool:
        """Return True if an entry below the window may have the prompt, and has no time.

        The order of our entries may be an accident, and only a time would show the entry's age. If
        times contradict the order, there is no window; see `ordered`.
        """
        return entry.created_at is None and self.forms.may_have_prompt(request, entry)

    @cached_property
    def forms(self) -> ListedForms:
        """The forms in which this listing shows requests, learned from our own entries."""
        return ListedForms([(entry, known.request) for entry, known in self._created()])

    def _created(self) -> Iterator[tuple[Entry, Known]]:
        for entry in self.entries:
            known = self.known.get(entry.provider_job_id)
            if known is not None and known.created:
                yield entry, known

    def bears_another_mark(self, doubt: Doubt, entry: Entry) -> bool:
        """Return True if an entry's mark, or the lack of one, shows that it is not the doubt's own.

        A missing mark is evidence only if this listing shows the marks of all creates that carried
        one. It must have shown one after a model's name of this length, too.
        """
        if entry.mark is not None:
            return entry.mark != doubt.job_id
        return doubt.marked and 0 < len(doubt.request.model) <= self._marked_length

    @cached_property
    def _marked_length(self) -> int:
        """The length of the longest model's name listed with a mark; 0 if any mark is missing."""
        bearing = [(entry, known) for entry, known in self._created() if known.marked]
        if any(entry.mark != known.job_id for entry, known in bearing):
            return 0
        return max((len(known.request.model) for _, known in bearing), default=0)

    # -- proofs ---------------------------------------------------------------------------------

    def why_not(self, doubt: Doubt) -> str | None:
        """Return the reason why the listing can't prove that the create left no entry, or None."""
        if not doubt.same_server:
            return "the create was sent to another server, or with another key"
        if not self.readable:
            return "the listing could not be read completely"
        if doubt.request.model not in self.facts.models:
            return "the listing has never shown a video of this model that we created"
        if doubt.request.remix_of is not None and not self._shows_remixes:
            return "the listing shows no remix that we created"
        if self._misses_ours(doubt):
            return "videos that we created are missing in the listing"
        if self.window_end(doubt) == len(self.entries) and not self.ended:
            return "the listing has no entry that is known to be older"
        if (
            doubt.after
            and self.anchor(doubt) is None
            and len(self.entries) >= UNANCHORED_ENTRIES_MAX
        ):
            return "the listing may show only the newest entries"
        return None

    @cached_property
    def _shows_remixes(self) -> bool:
        """True if it shows a remix that we created: a server may list plain videos alone."""
        return any(known.request.remix_of is not None for _, known in self._created())

    def _misses_ours(self, doubt: Doubt) -> bool:
        """Return True if one of our entries is missing where the doubt's own entry would be.

        Entries older than the doubt may be missing: servers forget old ones, and all of them at a
        restart.
        """
        oldest = min((known.accepted_at or 0 for _, known in self._created()), default=0)
        anchored = self.anchor(doubt) is not None
        reached = oldest + ORDER_MARGIN_MILLISECONDS if anchored else -math.inf
        return any(
            accepted_at > reached and entry_id not in self.place
            for entry_id, accepted_at in self.expected.items()
        )

    def shows_later_than(self, doubt: Doubt) -> bool:
        """Return True if the listing shows an entry that we created after the doubt began."""
        return any(
            known.sent_at is not None and known.sent_at > doubt.since
            for _, known in self._created()
        )
