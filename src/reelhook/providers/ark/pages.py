"""Paging through Ark's tasks by the id of an entry, although Ark itself has only page numbers.

Both tiers are read and merged by time. A task that is missing from the listing would look as if it
had never been created, and would be paid for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reelhook.domain.errors import CursorRefusedError
from reelhook.domain.event import Instant
from reelhook.domain.report import Entry, Page
from reelhook.providers.ark.task import entry
from reelhook.providers.ark.tasks import FLEX, TaskPage, TaskPages, together

POSITIONS_MAX = 1000
_TIERS = (None, FLEX)


@dataclass(frozen=True, slots=True)
class _Position:
    """The position in a tier: after the entry `last`, which was on the page `number`."""

    number: int = 1
    last: str | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Segment:
    """The entries after a position, with their page numbers; `more` follow after them."""

    position: _Position
    entries: tuple[tuple[int, Entry], ...]
    more: bool
    unreadable: int = 0

    @property
    def horizon(self) -> Instant | None:
        """The time of the oldest entry; older entries may be missing while more follow."""
        times = [entry.created_at for _, entry in self.entries]
        known = [time for time in times if time is not None]
        return min(known) if self.more and known and len(known) == len(times) else None


_Positions = Mapping[str | None, _Position]


class Pages:
    """Remembers the last entry of each page, and the positions in both tiers at that point."""

    def __init__(self, tasks: TaskPages) -> None:
        self._tasks = tasks
        self._positions: dict[str, _Positions] = {}

    async def page(self, after: str | None) -> Page:
        """Read the page after the entry `after`, which must be the last of an earlier page.

        Raises `CursorRefusedError` for any other entry, else `ProviderError`.
        """
        positions = (
            dict.fromkeys(_TIERS, _Position()) if after is None else self._positions.get(after)
        )
        if positions is None:
            raise CursorRefusedError(f"{after!r} is not the last entry of a page of the listing")
        tiers = [tier for tier, position in positions.items() if not position.over]
        read = await together(self._after(tier, positions[tier]) for tier in tiers)
        segments = dict(zip(tiers, read, strict=True))
        horizon = max((part.horizon for part in read if part.horizon is not None), default=None)
        shown = {tier: _until(horizon, part.entries) for tier, part in segments.items()}
        following = {
            **positions,
            **{tier: _advanced(part, shown[tier]) for tier, part in segments.items()},
        }
        entries = _newest_first([entry for part in shown.values() for _, entry in part])
        if entries:
            self._remember(entries[-1].provider_job_id, following)
        more = any(not position.over for position in following.values())
        return Page(entries, more, unreadable=sum(part.unreadable for part in read))

    async def _after(self, tier: str | None, position: _Position) -> _Segment:
        first = position.number
        numbers = [first] if position.last is None else [first, first + 1]
        pages = await together(self._tasks.page(number, tier) for number in numbers)
        lines = [(number, _read(page)) for number, page in zip(numbers, pages, strict=True)]
        # Entries move between pages as tasks are added and removed, so some are seen twice.
        entries: dict[str, tuple[int, Entry]] = {}
        for number, read in lines:
            for listed in read:
                entries.setdefault(listed.provider_job_id, (number, listed))
        if position.last is not None and position.last not in entries:
            raise CursorRefusedError(f"{position.last!r} is no longer on its page of the listing")
        unreadable = sum(
            len(page.tasks) + page.unreadable - len(read)
            for page, (_, read) in zip(pages, lines, strict=True)
        )
        start = 0 if position.last is None else list(entries).index(position.last) + 1
        return _Segment(position, tuple(entries.values())[start:], pages[-1].full, unreadable)

    def _remember(self, last: str, positions: _Positions) -> None:
        self._positions.pop(last, None)
        self._positions[last] = positions
        while len(self._positions) > POSITIONS_MAX:
            del self._positions[next(iter(self._positions))]


def _read(page: TaskPage) -> list[Entry]:
    return [line for line in map(entry, page.tasks) if line is not None]


def _until(
    horizon: Instant | None, entries: Sequence[tuple[int, Entry]]
) -> Sequence[tuple[int, Entry]]:
    """Return the entries down to the horizon, in order."""
    if horizon is None:
        return entries
    older = (
        index
        for index, (_, line) in enumerate(entries)
        if line.created_at is not None and line.created_at < horizon
    )
    return entries[: next(older, len(entries))]


def _advanced(segment: _Segment, shown: Sequence[tuple[int, Entry]]) -> _Position:
    over = not segment.more and len(shown) == len(segment.entries)
    if not shown:
        return replace(segment.position, over=over)
    number, last = shown[-1]
    return _Position(number, last.provider_job_id, over)


def _newest_first(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Merge the tiers by time; if a time is missing, one tier follows the other.

    A server may list both tiers if no tier is named, so each task counts once.
    """
    once = {line.provider_job_id: line for line in entries}
    times = [line.created_at for line in once.values()]
    if None in times:
        return tuple(once.values())
    return tuple(sorted(once.values(), key=lambda line: -(line.created_at or 0)))
