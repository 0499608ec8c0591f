"""Looks for jobs in a listing, in batches of pages: plans the reads, and gives some jobs up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reelhook.domain.read_plan import PageRead, Read, SingleRead, plan_reads
from reelhook.domain.report import Page


@dataclass(frozen=True, slots=True)
class PageResult:
    """The ids that a page showed, in order. The rest of the page is not kept."""

    ids: tuple[str, ...]
    more: bool
    length: int
    """The number of entries, including those without an id."""

    @classmethod
    def of(cls, page: Page, read: PageRead) -> "PageResult":
        """Return the result of a page. If it has just the expected ids, they are not copied."""
        ids = tuple([entry.provider_job_id for entry in page.entries])
        expected = read.expected
        return cls(expected if ids == expected else ids, page.more, len(ids) + page.unreadable)


@dataclass(slots=True)
class PageBatch:
    """The results of pages that were read at the same time."""

    pages: dict[str | None, PageResult] = field(default_factory=dict)
    refused: set[str | None] = field(default_factory=set)
    """Cursors that the listing does not know, or that nothing follows."""
    failed: set[str] = field(default_factory=set)
    """The ids that were expected in pages that failed."""


@dataclass(slots=True)
class ListingScan:
    """The jobs that a round looks for in the listing, and the results of its batches so far."""

    left: set[str]
    displaced: set[str] = field(default_factory=set)
    """Jobs that were not on their expected page: searched once more, after the newest one."""
    unlisted: set[str] = field(default_factory=set)
    """Jobs that are probably not in the listing."""
    failed: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    """Jobs whose pages have failed twice. Those pages are not read again in this round."""
    responded: bool = False
    first_batch: bool = True
    """True until the first batch has been read."""

    def plan(self, listed: Sequence[str], order: Sequence[str], page_size: int) -> list[Read]:
        """Return the reads of the next batch."""
        wanted = self.left.intersection(listed) - self.unlisted - self.given_up
        reads = plan_reads(order, wanted - self.displaced, page_size)
        own = [job_id for job_id in order if job_id in wanted & self.displaced]
        for start in range(0, len(own), page_size + 1):
            first, *rest = own[start : start + page_size + 1]
            reads.append(SingleRead(first))
            if rest:
                reads.append(PageRead(first, tuple(rest)) if rest[1:] else SingleRead(rest[0]))
        return reads

    def add(self, reads: Sequence[Read], batch: PageBatch) -> None:
        """Record the results of a batch."""
        self.first_batch = False
        self.responded = self.responded or bool(batch.pages)
        self.given_up |= batch.failed & self.failed
        self.failed |= batch.failed
        if not self.left:  # every job was found: the usual end
            self.displaced.clear()
            return
        for read in reads:
            if isinstance(read, PageRead) and (
                read.cursor in batch.pages or read.cursor in batch.refused
            ):
                self._add_page(read, batch.pages.get(read.cursor))

    def _add_page(self, read: PageRead, page: PageResult | None) -> None:
        if page and self.left.isdisjoint(read.expected):  # it showed all of them: the usual case
            self.displaced.difference_update([read.cursor], read.expected)
            return
        place = {job_id: at for at, job_id in enumerate(read.expected, 1)}
        shown = page.ids if page else []
        places = [place[job_id] for job_id in shown if job_id in place]
        if places:
            # A job that the page skipped is not listed; the rest comes after it. If the order is
            # not the expected one, nothing was skipped.
            skipped = places[-1] if places == sorted(places) else 0
            self.unlisted |= self.left.intersection(read.expected[:skipped])
            self.displaced -= {read.cursor, *read.expected}
        else:
            self.unlisted |= self.displaced.intersection(read.expected)
            self.displaced |= self.left.intersection(read.expected)
