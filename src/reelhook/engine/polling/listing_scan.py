"""Looking for jobs in a listing, in waves of pages: what to ask for next, and whom to give up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reelhook.domain.read_plan import PageRead, Read, SingleRead, plan_reads
from reelhook.domain.report import Page


@dataclass(frozen=True, slots=True)
class PageResult:
    """What a page showed: the ids, in their order. The rest of the page is not kept."""

    ids: tuple[str, ...]
    more: bool
    length: int
    """Of the page, with what had no id."""

    @classmethod
    def by(cls, page: Page, read: PageRead) -> "PageResult":
        """Return what this page shows; the very ids of its read where it holds just them."""
        ids = tuple([entry.provider_job_id for entry in page.entries])
        expected = read.expected
        return cls(expected if ids == expected else ids, page.more, len(ids) + page.unreadable)


@dataclass(slots=True)
class PageBatch:
    """What came of pages that were asked for at once."""

    pages: dict[str | None, PageResult] = field(default_factory=dict)
    refused: set[str | None] = field(default_factory=set)
    """Cursors that the listing does not know, or has nothing behind."""
    failed: set[str] = field(default_factory=set)
    """The ids that were hoped for in pages that failed."""


@dataclass(slots=True)
class ListingScan:
    """What a round's waves told so far of the jobs that are looked for in the listing."""

    left: set[str]
    displaced: set[str] = field(default_factory=set)
    """Not where they were hoped for: looked for once more, behind the newest one of their own."""
    lost: set[str] = field(default_factory=set)
    """Not listed, as it seems."""
    failed: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    """Their pages failed twice, which is enough for one round."""
    answered: bool = False
    fresh: bool = True
    """Whether no wave was taken yet."""

    def plan(self, listed: Sequence[str], order: Sequence[str], page_size: int) -> list[Read]:
        """Return the next wave's reads."""
        wanted = self.left.intersection(listed) - self.lost - self.given_up
        reads = plan_reads(order, wanted - self.displaced, page_size)
        own = [one for one in order if one in wanted & self.displaced]
        for start in range(0, len(own), page_size + 1):
            first, *rest = own[start : start + page_size + 1]
            reads.append(SingleRead(first))
            if rest:
                reads.append(PageRead(first, tuple(rest)) if rest[1:] else SingleRead(rest[0]))
        return reads

    def take(self, reads: Sequence[Read], batch: PageBatch) -> None:
        """Learn from a wave."""
        self.fresh = False
        self.answered = self.answered or bool(batch.pages)
        self.given_up |= batch.failed & self.failed
        self.failed |= batch.failed
        if not self.left:  # nothing is looked for any more: the usual end
            self.displaced.clear()
            return
        for read in reads:
            if isinstance(read, PageRead) and (
                read.cursor in batch.pages or read.cursor in batch.refused
            ):
                self._take_page(read, batch.pages.get(read.cursor))

    def _take_page(self, read: PageRead, page: PageResult | None) -> None:
        if page and self.left.isdisjoint(read.expected):  # it held all of them: the usual page
            self.displaced.difference_update([read.cursor], read.expected)
            return
        place = {one: at for at, one in enumerate(read.expected, 1)}
        shown = page.ids if page else []
        places = [place[one] for one in shown if one in place]
        if places:
            # What the page passed over is not there; the rest comes behind it. Where it stands in
            # another order than was thought, nothing was passed over.
            passed = places[-1] if places == sorted(places) else 0
            self.lost |= self.left.intersection(read.expected[:passed])
            self.displaced -= {read.cursor, *read.expected}
        else:
            self.lost |= self.displaced.intersection(read.expected)
            self.displaced |= self.left.intersection(read.expected)
