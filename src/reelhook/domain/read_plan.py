"""Covering the jobs to be read with the fewest requests: list pages, or single reads."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageRead:
    """One page of the listing after `cursor` (None: the newest), and the ids hoped for in it."""

    cursor: str | None
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SingleRead:
    """One job, read by itself."""

    provider_job_id: str


Read = PageRead | SingleRead


def cover(order: Sequence[str], wanted: Iterable[str], page_size: int) -> list[Read]:
    """Return the fewest reads that cover `wanted`, given the listing's order, newest first.

    Ids that are known to be in the listing serve as cursors, so all reads can run at once.
    Every wanted id must be in `order`. A page for one id costs as much as reading it singly,
    which needs no guess about where it stands, so then the single read is chosen.
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


def learn(order: Sequence[str], pages: Mapping[str | None, Sequence[str]]) -> list[str]:
    """Return the order with what the pages showed: each page's ids stand right behind its cursor.

    Ids that no page showed keep their place, so an id that was hoped for behind a cursor but was
    not there now stands behind that page: the next reads go on from its end.
    """
    shown = {one for ids in pages.values() for one in ids}
    learnt: dict[str, None] = {}

    def place(ids: Iterable[str]) -> None:
        waiting = deque(ids)
        while waiting:
            one = waiting.popleft()
            if one not in learnt:
                learnt[one] = None
                waiting.extendleft(reversed(pages.get(one, ())))

    place(pages.get(None, ()))
    for one in order:
        if one not in shown:
            place([one])
    for ids in pages.values():  # behind cursors that no page or order led to
        place(ids)
    return list(learnt)
