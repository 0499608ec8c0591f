"""The plan of a round of reads: the fewest requests, of listing pages or of single jobs."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageRead:
    """A read of the listing page after `cursor` (None: the newest), and the ids expected in it."""

    cursor: str | None
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SingleRead:
    """A read of one job by itself."""

    provider_job_id: str


Read = PageRead | SingleRead


def plan_reads(order: Sequence[str], wanted: Iterable[str], page_size: int) -> list[Read]:
    """Return the fewest reads of all `wanted` ids, given the listing's order, newest first.

    Known ids are the cursors, so all reads can run at once. Every wanted id must be in `order`. A
    page for one id costs as much as a single read, which does not depend on the order. So a single
    read is planned in that case.
    """
    left = set(wanted)
    reads: list[Read] = []
    position = 0
    while left and position < len(order):
        if order[position] not in left:
            position += 1
            continue
        window = order[position : position + page_size]
        expected = tuple(filter(left.__contains__, window))
        if len(expected) == 1:
            reads.append(SingleRead(expected[0]))
            position += 1
        else:
            reads.append(PageRead(order[position - 1] if position else None, expected))
            position += page_size
        left.difference_update(expected)
    return reads


def merge_order(order: Sequence[str], pages: Mapping[str | None, Sequence[str]]) -> list[str]:
    """Return the order corrected by the pages: each page's ids follow its cursor.

    Ids that no page showed keep their place. So an id that was expected after a cursor, but not
    found there, now follows that page: the next reads continue from the page's end.
    """
    shown = {job_id for ids in pages.values() for job_id in ids}
    merged: dict[str, None] = {}

    def place(ids: Iterable[str]) -> None:
        waiting = deque(ids)
        while waiting:
            job_id = waiting.popleft()
            if job_id not in merged:
                merged[job_id] = None
                waiting.extendleft(reversed(pages.get(job_id, ())))

    place(pages.get(None, ()))
    for job_id in order:
        if job_id not in shown:
            place([job_id])
    for ids in pages.values():  # after cursors that neither the order nor a page contains
        place(ids)
    return list(merged)
