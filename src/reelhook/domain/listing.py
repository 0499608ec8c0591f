"""What a provider's listing can prove about a create whose response was lost.

Order is the evidence, not clocks: a create stores the newest entries that were known before it was
sent, so everything above them in the listing is the window in which its own entry must be.
"""

import html
import math
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from reelhook.domain.event import Instant
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

ORDER_MARGIN_MILLISECONDS = 2000
"""By how much one moment must precede another before we call it earlier: workers' clocks differ."""
INVERSION_MILLISECONDS = 5000
"""By how much `created_at` may rise further down in a listing that is newest first."""
CLOCK_SLACK_MILLISECONDS = 120 * 1000
"""How far a provider's clock may be off while none of our own entries shows its offset."""
OFFSET_SLACK_MILLISECONDS = 5000
"""How far it may deviate from an offset that our own entries show."""
EXPECTED_MILLISECONDS = 24 * 3600 * 1000
"""How long an entry of ours must stay in the listing for the listing to be believed."""
UNANCHORED_ENTRIES_MAX = 10
"""Up to how many entries a listing without any entry that we knew before is not taken for one that
shows only the newest."""

Values = frozenset[tuple[str, str]]
"""Names of a request's parameters, each with what was asked for."""


@dataclass(frozen=True, slots=True)
class ListingFacts:
    """What was learned about an account's listing, at one server and with one credential.

    `first_id` is the newest entry when the listing was first read, at `first_read_at`; empty if
    there was none; None: it was not read yet. `delay_max` is the longest time, in milliseconds,
    that an entry of ours took to appear; None: never measured. `models` are those whose entries we
    created and saw in it. `server` is what its adapter found out (`Provider.learnt`).
    """

    fingerprint: str
    first_id: str | None = None
    first_read_at: Instant = 0
    delay_max: int | None = None
    models: frozenset[str] = frozenset()
    server: str = ""

    def with_delay(self, milliseconds: int) -> "ListingFacts":
        """Return the facts with one more measured delay."""
        return replace(self, delay_max=max(milliseconds, self.delay_max or 0))

    def with_model(self, *models: str) -> "ListingFacts":
        """Return the facts with models whose entries were seen."""
        return replace(self, models=self.models.union(models))

    def read_first(self, first_id: str, now: Instant) -> "ListingFacts":
        """Return the facts with what the listing showed before anything of ours was in it."""
        return replace(self, first_id=first_id, first_read_at=now)


@dataclass(frozen=True, slots=True)
class Known:
    """An entry of a job of ours. `created`: our create was answered with this id, so its times and
    its request say what an entry of this server looks like. `job_id` is the job's; `marked`: that
    create bore it as a mark.
    """

    created: bool
    sent_at: Instant | None
    accepted_at: Instant | None
    request: VideoRequest
    job_id: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """An unresolved create: what was asked, when it was sent, since when it has no response.

    `after` are the newest entries known before it was sent (empty: the listing had none; None: not
    known). `same_server`: it was sent, with the same credential, to the server whose listing is
    read. `marked`: it bore its job's id as a mark. `ended`: that server refused it in a response of
    its own, so it is not being carried out any more.
    """

    job_id: str
    request: VideoRequest
    sent_at: Instant
    since: Instant
    after: tuple[str, ...] | None = None
    same_server: bool = True
    marked: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Listing:
    """A listing as it was read from `read_at` on, newest first as far as it is honest.

    `ended`: read to its end. `readable`: nothing in it was passed over. `supported`: the provider
    has a listing. `expected` are ids of our
    entries, with the moment of their acceptance, that it must show where it was read that far.
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
        """Yield the entries that no job of ours holds."""
        return (one for one in self.entries if one.provider_job_id not in self.known)

    # -- order ----------------------------------------------------------------------------------

    @cached_property
    def ordered(self) -> bool:
        """Whether our own entries show that it is newest first, and nothing contradicts that."""
        return self._pairs_agree and self._times_agree

    @property
    def _pairs_agree(self) -> bool:
        """Whether of two entries that we know to be older and newer the older one is below."""
        ours = [(self.known[one], at) for one, at in self.place.items() if one in self.known]
        first = self.place.get(self.facts.first_id or "")
        since = self.facts.first_read_at + ORDER_MARGIN_MILLISECONDS
        new = [at for one, at in ours if one.created and (one.sent_at or 0) > since]
        if first is not None and any(at > first for at in new):
            return False
        agreed = first is not None and bool(new)
        accepted = [math.inf if one.accepted_at is None else one.accepted_at for one, _ in ours]
        below = _running_min(accepted[::-1])[::-1]
        above = math.inf
        for number, (one, _) in enumerate(ours):
            if one.created and one.sent_at is not None:
                before = one.sent_at - ORDER_MARGIN_MILLISECONDS
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
        places = [self.place[one] for one in doubt.after or () if one in self.place]
        return min(places, default=None)

    def window_end(self, doubt: Doubt) -> int:
        """Return how many entries, from the top, may be the doubt's own as far as order tells.

        Of entries that show the same time none is known to be newer: SGLang, vLLM-Omni, FastVideo
        and Aquiles-Image sort by whole seconds, and list those of one second oldest first. So the
        window ends at the first entry that is older by its time too.
        """
        anchor = self.anchor(doubt)
        if anchor is None or not self.ordered:
            return len(self.entries)
        if anchor not in self._ends:
            self._ends[anchor] = self._first_older(anchor)
        return self._ends[anchor]

    @cached_property
    def _ends(self) -> dict[int, int]:
        """The ends of the windows that were asked for, by the place of their anchor."""
        return {}

    def _first_older(self, anchor: int) -> int:
        """Return the place of the first entry that is older than the anchor by its time too."""
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
        """Whether an entry may have been made after the doubt's create was sent, by its place."""
        place = self.place[entry.provider_job_id]
        return place < self.window_end(doubt) and entry.provider_job_id not in (doubt.after or ())

    # -- what an entry may be -------------------------------------------------------------------

    def in_window(self, doubt: Doubt, entry: Entry) -> bool:
        """Whether an entry with the doubt's prompt was made late enough to be its own.

        By its place where the order is proven; else by its time, if it shows one.
        """
        if self.window_end(doubt) < len(self.entries):
            return self.may_be_newer(doubt, entry)
        if doubt.after == () or entry.created_at is None:
            return True
        return entry.created_at >= doubt.sent_at + self._offset_min

    @cached_property
    def _offset_min(self) -> float:
        """The least that the provider's clock may be ahead of ours, in milliseconds."""
        offsets = [
            entry.created_at - one.accepted_at
            for entry in self.entries
            if entry.created_at is not None
            and (one := self.known.get(entry.provider_job_id)) is not None
            and one.created
            and one.accepted_at is not None
        ]
        if not offsets:
            return -CLOCK_SLACK_MILLISECONDS
        return min(offsets) - OFFSET_SLACK_MILLISECONDS

    def may_be_below(self, request: VideoRequest, entry: Entry) -> bool:
        """Whether an entry below the window shows the prompt, and no time that says it is older.

        Times that contradict the order of the listing leave no window, see `ordered`.
        """
        return entry.prompt == request.prompt and entry.created_at is None

    def may_be(self, request: VideoRequest, entry: Entry) -> bool:
        """Whether model, length and size of an entry could be the request's, whatever its prompt.

        A difference counts only where an entry of ours that asked for the same value shows it
        unchanged: servers normalise sizes and lengths and give models other names.
        """
        same, changed = self._values
        return not (_differences(request, entry) & (same - changed))

    def may_be_altered(self, request: VideoRequest, entry: Entry) -> bool:
        """Whether an entry that shows exactly what another request asked for may be this one's.

        A prompt cut off can be equal to a shorter one, and one with words added to a longer one; an
        entry of ours of such a length that is shown unchanged speaks against it. So does one that
        shows its length and size unchanged, where these are what differs.
        """
        same, changed = self._values
        kept = {name for name, _ in same} - {name for name, _ in changed}
        if any(name in kept for name, _ in _differences(request, entry)):
            return False
        shown, asked = _folded(entry.prompt or ""), _folded(request.prompt)
        if shown == asked:
            return True
        if shown in asked:
            return not any(length > len(entry.prompt or "") for length in self._verbatim)
        if asked in shown:
            return not any(length <= len(request.prompt) for length in self._verbatim)
        return False

    @cached_property
    def _values(self) -> tuple[Values, Values]:
        """The values that entries of ours asked for and show unchanged, and those that changed."""
        same: set[tuple[str, str]] = set()
        changed: set[tuple[str, str]] = set()
        for entry, one in self._created():
            differences = _differences(one.request, entry)
            changed |= differences
            same |= {(name, wanted) for name, wanted, _ in _values(one.request, entry)}
            same -= differences
        return frozenset(same), frozenset(changed)

    @cached_property
    def _verbatim(self) -> Collection[int]:
        """The lengths of those prompts of ours that the listing shows word for word."""
        return {
            len(one.request.prompt)
            for entry, one in self._created()
            if entry.prompt == one.request.prompt
        }

    def _created(self) -> Iterator[tuple[Entry, Known]]:
        for entry in self.entries:
            one = self.known.get(entry.provider_job_id)
            if one is not None and one.created:
                yield entry, one

    def bears_another_mark(self, doubt: Doubt, entry: Entry) -> bool:
        """Whether an entry can't be the doubt's own, since its mark, or that it has none, says so.

        That it has none says so where this listing shows the mark of every create that bore one,
        and of one behind a name of such a length.
        """
        if entry.mark is not None:
            return entry.mark != doubt.job_id
        return doubt.marked and 0 < len(doubt.request.model) <= self._marked_length

    @cached_property
    def _marked_length(self) -> int:
        """The length of the longest name behind which a mark is shown; 0 where one is missing."""
        bearing = [(entry, one) for entry, one in self._created() if one.marked]
        if any(entry.mark != one.job_id for entry, one in bearing):
            return 0
        return max((len(one.request.model) for _, one in bearing), default=0)

    # -- what it proves -------------------------------------------------------------------------

    def why_not(self, doubt: Doubt) -> str | None:
        """Return why the listing can't prove that an entry was never made; None where it can."""
        if not doubt.same_server:
            return "it was sent to another server, or with another key"
        if not self.readable:
            return "the listing could not be read completely"
        if doubt.request.model not in self.facts.models:
            return "no video of this model that we created was ever seen in the listing"
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

    def _misses_ours(self, doubt: Doubt) -> bool:
        """Whether an entry of ours is missing that should be there if the doubt's own should.

        Below an entry that is older than the doubt's, none has to be: servers forget old entries,
        and all of them when they are restarted.
        """
        oldest = min((one.accepted_at or 0 for _, one in self._created()), default=0)
        anchored = self.anchor(doubt) is not None
        reached = oldest + ORDER_MARGIN_MILLISECONDS if anchored else -math.inf
        return any(
            accepted_at > reached and one not in self.place
            for one, accepted_at in self.expected.items()
        )

    def shows_later_than(self, doubt: Doubt) -> bool:
        """Whether it shows an entry that we created after the doubt's own must have been made."""
        return any(
            one.sent_at is not None and one.sent_at > doubt.since for _, one in self._created()
        )


def _values(request: VideoRequest, entry: Entry) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each value that was asked for and is shown, as asked for and as shown."""
    shown = {"model": entry.model, "seconds": entry.seconds, "size": entry.size}
    for name, there in shown.items():
        wanted: str | None = getattr(request, name)
        if wanted and there is not None:
            yield name, wanted, there


def _differences(request: VideoRequest, entry: Entry) -> Values:
    return frozenset(
        (name, wanted)
        for name, wanted, there in _values(request, entry)
        if wanted not in {there, *_names(name, entry)}
    )


def _names(name: str, entry: Entry) -> tuple[str, ...]:
    return entry.also_called if name == "model" else ()


def _running_min(values: Sequence[float]) -> list[float]:
    least, lowest = [], math.inf
    for value in values:
        lowest = min(lowest, value)
        least.append(lowest)
    return least


def _folded(prompt: str) -> str:
    """Reduce a prompt to its letters and digits: what escapes, normal forms and blanks leave."""
    plain = unicodedata.normalize("NFKC", html.unescape(prompt)).casefold()
    return "".join(one for one in plain if one.isalnum())
