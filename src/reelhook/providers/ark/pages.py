"""Paging through Ark's tasks behind an id, though Ark itself knows only the numbers of pages.

Both tiers are read and merged by time: a task that is not listed would look as if it had never
been made, and be paid for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reelhook.domain.errors import CursorRefusedError
from reelhook.domain.event import Instant
from reelhook.domain.report import Entry, Page
from reelhook.providers.ark.task import entry
from reelhook.providers.ark.tasks import FLEX, TaskPage, TaskPages, together

PLACES_MAX = 1000
_TIERS = (None, FLEX)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a tier has been read: up to `last`, which was seen on the page `number`."""

    number: int = 1
    last: str | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What follows a place: entries with their pages' numbers; `more` follow behind them."""

    place: _Place
    entries: tuple[tuple[int, Entry], ...]
    more: bool
    unreadable: int = 0

    @property
    def horizon(self) -> Instant | None:
        """The oldest moment known of; nothing older is complete while more follow."""
        times = [entry.created_at for _, entry in self.entries]
        known = [time for time in times if time is not None]
        return min(known) if self.more and known and len(known) == len(times) else None


_Places = Mapping[str | None, _Place]


class Pages:
    """Remembers which entry ended a page, and how far each tier was read by then."""

    def __init__(self, tasks: TaskPages) -> None:
        self._tasks = tasks
        self._places: dict[str, _Places] = {}

    async def page(self, after: str | None) -> Page:
        """Read what follows the entry `after`, which ended a page read here before.

        Raises `CursorRefusedError` for any other, else `ProviderError`.
        """
        places = dict.fromkeys(_TIERS, _Place()) if after is None else self._places.get(after)
        if places is None:
            raise CursorRefusedError(f"{after!r} ended no page of the listing")
        tiers = [tier for tier, place in places.items() if not place.over]
        read = await together(self._behind(tier, places[tier]) for tier in tiers)
        stretches = dict(zip(tiers, read, strict=True))
        horizon = max((one.horizon for one in read if one.horizon is not None), default=None)
        shown = {tier: _until(horizon, one.entries) for tier, one in stretches.items()}
        following = {
            **places,
            **{tier: _moved(one, shown[tier]) for tier, one in stretches.items()},
        }
        entries = _newest_first([entry for part in shown.values() for _, entry in part])
        if entries:
            self._remember(entries[-1].provider_job_id, following)
        more = any(not place.over for place in following.values())
        return Page(entries, more, unreadable=sum(one.unreadable for one in read))

    async def _behind(self, tier: str | None, place: _Place) -> _Stretch:
        numbers = [place.number] if place.last is None else [place.number, place.number + 1]
        pages = await together(self._tasks.page(number, tier) for number in numbers)
        lines = [(number, _read(page)) for number, page in zip(numbers, pages, strict=True)]
        # Entries move between pages as tasks come and go: what is seen twice counts once.
        entries: dict[str, tuple[int, Entry]] = {}
        for number, read in lines:
            for one in read:
                entries.setdefault(one.provider_job_id, (number, one))
        if place.last is not None and place.last not in entries:
            raise CursorRefusedError(f"{place.last!r} is no longer where it was listed")
        unreadable = sum(
            len(page.tasks) + page.unreadable - len(read)
            for page, (_, read) in zip(pages, lines, strict=True)
        )
        start = 0 if place.last is None else list(entries).index(place.last) + 1
        return _Stretch(place, tuple(entries.values())[start:], pages[-1].full, unreadable)

    def _remember(self, last: str, places: _Places) -> None:
        self._places.pop(last, None)
        self._places[last] = places
        while len(self._places) > PLACES_MAX:
            del self._places[next(iter(self._places))]


def _read(page: TaskPage) -> list[Entry]:
    return [one for one in map(entry, page.tasks) if one is not None]


def _until(
    horizon: Instant | None, entries: Sequence[tuple[int, Entry]]
) -> Sequence[tuple[int, Entry]]:
    """Return the entries down to the horizon, in their order."""
    if horizon is None:
        return entries
    older = (
        at
        for at, (_, one) in enumerate(entries)
        if one.created_at is not None and one.created_at < horizon
    )
    return entries[: next(older, len(entries))]


def _moved(stretch: _Stretch, shown: Sequence[tuple[int, Entry]]) -> _Place:
    over = not stretch.more and len(shown) == len(stretch.entries)
    if not shown:
        place = stretch.place
        return _Place(place.number, place.last, over)
    number, last = shown[-1]
    return _Place(number, last.provider_job_id, over)


def _newest_first(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Merge the tiers by time; without all times they stand one behind the other.

    Where a tier is not asked for, a server may list both: each task counts once.
    """
    once = {one.provider_job_id: one for one in entries}
    times = [one.created_at for one in once.values()]
    if None in times:
        return tuple(once.values())
    return tuple(sorted(once.values(), key=lambda one: -(one.created_at or 0)))
