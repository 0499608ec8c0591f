"""Matching unresolved creates to the unclaimed entries of a listing, one to one."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.listing import Listing
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_match import CompetingRequests, as_sent, fits, unspecified


class Matching:
    """The assignment of entries to doubts, by their requests and the times of sending.

    `groups` has the doubts by request, without those that a mark has settled. `found` maps job ids
    to entries. `left` has the unclaimed entries that were assigned to no doubt. `taken` has the
    entries assigned to doubts, or adopted earlier, and `takers` has their owners. An entry may
    really belong to another doubt, while the taker's own may still appear.

    `elsewhere` has the requests of other accounts' doubts, which may own any entry that fits.
    `ended` has the requests of jobs that ended without a response: each may explain one entry.
    """

    def __init__(
        self,
        in_doubt: Sequence[Doubt],
        listing: Listing,
        *,
        elsewhere: Iterable[VideoRequest],
        ended: Iterable[VideoRequest],
    ) -> None:
        self._listing = listing
        self.left = list(listing.unclaimed())
        self.taken = [e for e in listing.entries if _adopted(listing, e)]
        self.takers = [(e, _adopter(listing.known[e.provider_job_id])) for e in self.taken]
        self.found: dict[str, Entry] = {}
        self.groups: dict[VideoRequest, list[Doubt]] = defaultdict(list)
        for doubt in self._without_marked(in_doubt):
            self.groups[as_sent(doubt.request)].append(doubt)
        self.elsewhere = {as_sent(request) for request in elsewhere}
        explained = [as_sent(request) for request in ended]
        self._competing = CompetingRequests({*self.groups, *explained, *self.elsewhere})
        # The most specific requests choose first: their entries fit less specific ones too.
        for request in sorted(self.groups, key=unspecified):
            self._assign(request)
        self._exchange()
        for request in explained:
            self._explain(request)

    def _without_marked(self, in_doubt: Sequence[Doubt]) -> list[Doubt]:
        """Give each doubt the entry with its mark; return the other doubts.

        An entry with a mark can't belong to another create.
        """
        marked = {entry.mark: entry for entry in self.left if entry.mark is not None}
        self.left = [entry for entry in self.left if entry.mark is None]
        self.found |= {
            doubt.job_id: marked[doubt.job_id] for doubt in in_doubt if doubt.job_id in marked
        }
        return [doubt for doubt in in_doubt if doubt.job_id not in self.found]

    def _assign(self, request: VideoRequest) -> None:
        """Give each doubt the oldest entry of its window, which is of least use to the others.

        The doubt that has waited longest chooses first. The others can still wait for an entry.
        """
        if request in self.elsewhere:
            return
        listing = self._listing
        ours = (
            e for e in self.left if fits(request, e) and not self._competing.also_fit(request, e)
        )
        candidates = sorted(ours, key=self._age)
        for doubt in sorted(self.groups[request], key=lambda other: (other.since, other.sent_at)):
            entry = next((e for e in candidates if listing.in_window(doubt, e)), None)
            if entry is not None:
                candidates.remove(entry)
                self.left.remove(entry)
                self.found[doubt.job_id] = entry

    def _exchange(self) -> None:
        """Find entries for the remaining doubts by letting others switch to another entry.

        Requests can't always be ordered by specificity: one may have a length, another a size.
        """
        by_prompt: dict[str | None, list[Entry]] = defaultdict(list)
        for entry in self._listing.unclaimed():
            if entry.mark is None:
                by_prompt[entry.prompt].append(entry)
        owners = {
            self.found[doubt.job_id].provider_job_id: (request, doubt)
            for request, group in self.groups.items()
            for doubt in group
            if doubt.job_id in self.found
        }
        for request, group in self.groups.items():
            for doubt in group:
                if doubt.job_id not in self.found:
                    self._hand_on(request, doubt, by_prompt[request.prompt], owners)
        self.left = [entry for entry in self.left if entry.provider_job_id not in owners]
        takers = [(self.found[doubt.job_id], doubt) for _, doubt in owners.values()]
        self.taken += [entry for entry, _ in takers]
        self.takers += takers

    def _hand_on(
        self,
        request: VideoRequest,
        doubt: Doubt,
        entries: Sequence[Entry],
        owners: dict[str, tuple[VideoRequest, Doubt]],
    ) -> None:
        """Give a doubt an entry by the shortest chain in which each doubt takes the next one's."""
        takers: dict[str, Doubt] = {}
        waiting = deque([(request, doubt)])
        while waiting:
            wanted, taker = waiting.popleft()
            for entry in entries:
                name = entry.provider_job_id
                if name in takers or not self._may_take(wanted, taker, entry):
                    continue
                takers[name] = taker
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
            owners[left.provider_job_id] = (as_sent(taker.request), taker)
            before = self.found.get(taker.job_id)
            self.found[taker.job_id] = left
            left = before

    def _may_take(self, request: VideoRequest, doubt: Doubt, entry: Entry) -> bool:
        return (
            request not in self.elsewhere
            and fits(request, entry)
            and not self._competing.also_fit(request, entry)
            and self._listing.in_window(doubt, entry)
        )

    def _age(self, entry: Entry) -> float:
        """Return a sort key, oldest first. Entries without a time come last: they fit any doubt."""
        if self._listing.ordered:
            return -self._listing.place[entry.provider_job_id]
        return float("inf") if entry.created_at is None else entry.created_at

    def _explain(self, request: VideoRequest) -> None:
        """Reserve an entry that may come from a job that ended without a response."""
        entry = next((e for e in self.left if fits(request, e)), None)
        if entry is not None and not self._competing.also_fit(request, entry):
            self.left.remove(entry)
            self.taken.append(entry)


def _adopted(listing: Listing, entry: Entry) -> bool:
    known = listing.known.get(entry.provider_job_id)
    return known is not None and not known.created


def _adopter(known: Known) -> Doubt:
    """Return a doubt that represents a job which has adopted an entry."""
    sent_at = known.sent_at or 0
    return Doubt("", known.request, sent_at, known.accepted_at or sent_at)
