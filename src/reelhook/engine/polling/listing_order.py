"""Learns the order of ids in a listing, and the length of its pages, from the pages read."""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from reelhook.domain.read_plan import PageRead, Read, merge_order
from reelhook.engine.polling.listing_scan import ListingScan, PageBatch

ORDER_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The reads that cover the wanted ids, and the order of ids on which they are based."""

    order: list[str]
    reads: list[Read]


@dataclass(frozen=True, slots=True)
class _Known:
    """Ids in the listing's order, and as a set. Both are replaced together."""

    order: list[str]
    ids: AbstractSet[str]


class ListingOrder:
    """Plans batches of pages, and learns from their results."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self._known = _Known([], frozenset())
        self._last: tuple[Sequence[str], int, Plan] | None = None

    def same_plan(self, listed: Sequence[str]) -> Plan | None:
        """Return the last round's plan for the same jobs, if nothing was learnt since.

        So a round over the same jobs in the same order costs no planning.
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

    def plan(self, scan: ListingScan, listed: Sequence[str]) -> Plan:
        """Return the next reads, by the known order; ids without a known place come first."""
        known = self._known
        new = [job_id for job_id in listed if job_id not in known.ids]
        order = new + known.order if new else known.order
        plan = Plan(order, scan.plan(listed, order, self.page_size))
        if scan.first_batch:
            self._last = (listed, self.page_size, plan)
        return plan

    def learn(self, plan: Plan, batch: PageBatch) -> None:
        """Correct the order by the pages of a batch."""
        if plan.order is not self._known.order or not _as_expected(plan.reads, batch):
            shown = {cursor: page.ids for cursor, page in batch.pages.items()}
            learnt = merge_order(plan.order, shown)
            self._set([job_id for job_id in learnt if job_id not in batch.refused])
        # A page that others follow is as long as the server allows, unless it leaves out entries.
        full = [page.length for page in batch.pages.values() if page.more]
        self.page_size = max(2, *full) if full else self.page_size

    def trim(self, watched: Collection[str]) -> None:
        """Forget ids after the oldest job. If the order is still too long, keep only the jobs."""
        order = self._known.order
        length = len(order)
        while length and order[length - 1] not in watched:
            length -= 1
        if length > ORDER_MAX + 2 * len(watched):
            self._set([job_id for job_id in order if job_id in watched])
        elif length < len(order):
            self._set(order[:length])

    def _set(self, order: list[str]) -> None:
        self._known = _Known(order, set(order))


def _as_expected(reads: Sequence[Read], batch: PageBatch) -> bool:
    """Return True if every page held exactly the expected ids, so there is nothing to learn."""
    return all(
        isinstance(read, PageRead)
        and (page := batch.pages.get(read.cursor)) is not None
        and page.ids is read.expected
        for read in reads
    )
