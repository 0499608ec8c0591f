"""Reading many tasks with few requests.

Tasks that run or wait fill pages of 500, and so do those that have just succeeded; the rest is
asked for by ids, of which no more than some 180 fit into a URL.
"""

from collections.abc import Collection, Iterator, Sequence

from reelhook.domain.errors import ListingUnsupportedError
from reelhook.domain.report import Reading
from reelhook.providers.ark.task import report
from reelhook.providers.ark.tasks import FLEX, PAGE_SIZE, TaskPage, TaskPages, together
from reelhook.providers.http.address import segment
from reelhook.providers.http.json_fields import readable_id

URL_BYTES_MAX = 7_900
"""Many servers stop reading a URL at 8 kB."""
PAGES_MAX = 500
_FILTER = "&filter.task_ids="
_GOING_ON = ("running", "queued")
_ENDED = "succeeded"
_FEW = 2
"""So many requests by ids are not worth the pages."""


class Batch:
    """Reads the tasks of one account. `room`: the bytes of a URL that are left for ids."""

    def __init__(self, tasks: TaskPages, room: int) -> None:
        self._tasks = tasks
        self._room = room
        self._flex = False

    async def read(self, ids: Sequence[str]) -> dict[str, Reading]:
        """Read tasks; those that the listing does not show are left out.

        Raises `ProviderError`.
        """
        search = _Search({one for one in ids if readable_id(one) is not None})
        try:
            if len(self._chunks(search.left)) > _FEW:
                await self._going_on(search)
            if len(self._chunks(search.left)) > _FEW:
                await self._just_ended(search)
            await self._by_ids(search, None)
            # Which tier a task is of is not known here.
            before = len(search.found)
            await self._by_ids(search, FLEX)
            self._flex = self._flex or len(search.found) > before
        except ListingUnsupportedError:
            pass  # what it did not tell is read singly
        return search.found

    async def _going_on(self, search: "_Search") -> None:
        """Read the tasks that go on, as long as pages cost less than asking by ids."""
        kinds = [(status, tier) for status in _GOING_ON for tier in self._tiers]
        firsts = await together(self._page(search, *kind, 1) for kind in kinds)
        more = [
            (*kind, number)
            for kind, first in zip(kinds, firsts, strict=True)
            for number in range(2, _pages(first) + 1)
        ]
        if len(more) <= len(self._chunks(search.left)):
            await together(self._page(search, *one) for one in more)

    async def _just_ended(self, search: "_Search") -> None:
        """Read as many of the newest tasks that ended as are still looked for."""
        numbers = range(1, -(-len(search.left) // PAGE_SIZE) + 1)
        kinds = [(tier, number) for tier in self._tiers for number in numbers]
        await together(self._page(search, _ENDED, *kind) for kind in kinds)

    @property
    def _tiers(self) -> tuple[str | None, ...]:
        return (None, FLEX) if self._flex else (None,)

    async def _page(
        self, search: "_Search", status: str, tier: str | None, number: int
    ) -> TaskPage:
        page = await self._tasks.page(number, tier, f"&filter.status={status}")
        search.take(page)
        return page

    async def _by_ids(self, search: "_Search", tier: str | None) -> None:
        async def read(filters: str) -> None:
            search.take(await self._tasks.page(1, tier, filters))

        await together(read(filters) for filters in self._chunks(search.left))

    def _chunks(self, ids: Collection[str]) -> list[str]:
        """Return the filters that ask for these ids, each short enough for a URL."""
        return list(_chunks(sorted(ids), self._room))


class _Search:
    """The tasks that are wanted, found, and left to find."""

    def __init__(self, wanted: set[str]) -> None:
        self.left = wanted
        self.found: dict[str, Reading] = {}

    def take(self, page: TaskPage) -> None:
        """Keep what a page says of the tasks that are still wanted."""
        for task in page.tasks:
            one = readable_id(task.get("id"))
            told = report(task) if one in self.left else None
            if one is not None and told is not None:
                self.found[one] = Reading(told)
                self.left.discard(one)


def _pages(first: TaskPage) -> int:
    """Return how many pages there are; one where that is not told."""
    if first.total is None or not first.full:
        return 1
    return min(-(-first.total // PAGE_SIZE), PAGES_MAX)


def _chunks(ids: Sequence[str], room: int) -> Iterator[str]:
    chunk: list[str] = []
    left = room
    for one in ids:
        part = _FILTER + segment(one)
        if chunk and (len(part) > left or len(chunk) == PAGE_SIZE):
            yield "".join(chunk)
            chunk, left = [], room
        chunk.append(part)
        left -= len(part)
    if chunk:
        yield "".join(chunk)
