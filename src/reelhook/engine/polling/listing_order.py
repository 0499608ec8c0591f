"""What pages have taught of a listing: the order of its ids, and how long its pages are."""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from reelhook.domain.read_plan import PageRead, Read, merge_order
from reelhook.engine.polling.listing_scan import ListingScan, PageBatch

ORDER_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The reads that cover the ids looked for, and the order that they were picked from."""

    order: list[str]
    reads: list[Read]


@dataclass(frozen=True, slots=True)
class _Known:
    """Ids in the listing's order, and the same for looking them up: taken over as one."""

    order: list[str]
    ids: AbstractSet[str]


class ListingOrder:
    """Plans the pages of a wave, and learns from what came of them."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self._known = _Known([], frozenset())
        self._last: tuple[Sequence[str], int, Plan] | None = None

    def same_plan(self, listed: Sequence[str]) -> Plan | None:
        """Return the last round's plan for the same jobs, if nothing was learnt since.

        So a round over jobs that come in the order they had costs no planning.
        """
        if self._last is None:
            return None
        last_listed, page_size, plan = self._last
        same = (
            plan.order is self._known.order
            and page_size == self.page_size
            and last_listed == listed
        )
        return plan if same else None

    def plan(self, search: ListingScan, listed: Sequence[str]) -> Plan:
        """Pick the next reads, by the order as far as it is known or hoped for."""
        known = self._known
        new = [one for one in listed if one not in known.ids]
        order = new + known.order if new else known.order
        plan = Plan(order, search.plan(listed, order, self.page_size))
        if search.fresh:
            self._last = (listed, self.page_size, plan)
        return plan

    def learn(self, plan: Plan, batch: PageBatch) -> None:
        """Take over the order that a wave's pages showed."""
        if plan.order is not self._known.order or not _as_expected(plan.reads, batch):
            shown = {cursor: page.ids for cursor, page in batch.pages.items()}
            self._set([one for one in merge_order(plan.order, shown) if one not in batch.refused])
        # Where more follows, a page's length is the server's own limit, unless it leaves out some.
        full = [page.length for page in batch.pages.values() if page.more]
        self.page_size = max(2, *full) if full else self.page_size

    def trim(self, watched: Collection[str]) -> None:
        """Forget what lies behind the oldest job, and everything but the jobs if it grows long."""
        order = self._known.order
        length = len(order)
        while length and order[length - 1] not in watched:
            length -= 1
        if length > ORDER_MAX + 2 * len(watched):
            self._set([one for one in order if one in watched])
        elif length < len(order):
            self._set(order[:length])

    def _set(self, order: list[str]) -> None:
        self._known = _Known(order, set(order))


def _as_expected(reads: Sequence[Read], batch: PageBatch) -> bool:
    """Whether every page held what it was asked for, and nothing else: then nothing is learnt."""
    return all(
        isinstance(read, PageRead)
        and (page := batch.pages.get(read.cursor)) is not None
        and page.ids is read.expected
        for read in reads
    )
