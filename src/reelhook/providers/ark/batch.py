"""Reading many tasks with few requests.

Running, queued and recently succeeded tasks are read in pages of 500. The rest is read by id;
about 180 ids fit into a URL.
"""

from collections.abc import Collection, Iterator, Sequence

from reelhook.domain.errors import ListingUnsupportedError
from reelhook.domain.report import Reading
from reelhook.providers.ark.task import report
from reelhook.providers.ark.tasks import FLEX, PAGE_SIZE, TaskPage, TaskPages, together
from reelhook.providers.http.address import segment
from reelhook.providers.http.json_fields import readable_id

URL_BYTES_MAX = 7_900
"""Many servers refuse a URL of more than 8 kB."""
PAGES_MAX = 500
_FILTER = "&filter.task_ids="
_UNFINISHED = ("running", "queued")
_ENDED = "succeeded"
_FEW = 2
"""Up to this many requests by id, reading pages saves nothing."""


class Batch:
    """Reads the tasks of one account. `bytes_max`: the space for ids in a URL."""

    def __init__(self, tasks: TaskPages, bytes_max: int) -> None:
        self._tasks = tasks
        self._bytes_max = bytes_max
        self._flex = False

    async def read(self, ids: Sequence[str]) -> dict[str, Reading]:
        """Read tasks. Tasks that the listing does not show are omitted.

        Raises `ProviderError`.
        """
        search = _Search({task_id for task_id in ids if readable_id(task_id) is not None})
        try:
            if len(self._chunks(search.left)) > _FEW:
                await self._read_unfinished(search)
            if len(self._chunks(search.left)) > _FEW:
                await self._read_succeeded(search)
            await self._by_ids(search, None)
            # The tier of a task is not known here.
            before = len(search.found)
            await self._by_ids(search, FLEX)
            self._flex = self._flex or len(search.found) > before
        except ListingUnsupportedError:
            pass  # the missing tasks are read singly
        return search.found

    async def _read_unfinished(self, search: "_Search") -> None:
        """Read the unfinished tasks, as long as that takes fewer requests than reading by id."""
        kinds = [(status, tier) for status in _UNFINISHED for tier in self._tiers]
        firsts = await together(self._page(search, *kind, 1) for kind in kinds)
        pages = [
            (*kind, number)
            for kind, first in zip(kinds, firsts, strict=True)
            for number in range(2, _pages(first) + 1)
        ]
        if len(pages) <= len(self._chunks(search.left)):
            await together(self._page(search, *page) for page in pages)

    async def _read_succeeded(self, search: "_Search") -> None:
        """Read the newest succeeded tasks, up to the number that is still wanted."""
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
        """Return the filters for these ids, each short enough for a URL."""
        return list(_chunks(sorted(ids), self._bytes_max))


class _Search:
    """The readings found so far, and the ids that are left to find."""

    def __init__(self, wanted: set[str]) -> None:
        self.left = wanted
        self.found: dict[str, Reading] = {}

    def take(self, page: TaskPage) -> None:
        """Keep the readings of the tasks on a page that are still wanted."""
        for task in page.tasks:
            task_id = readable_id(task.get("id"))
            task_report = report(task) if task_id in self.left else None
            if task_id is not None and task_report is not None:
                self.found[task_id] = Reading(task_report)
                self.left.discard(task_id)


def _pages(first: TaskPage) -> int:
    """Return the number of pages; 1 if it is not reported."""
    if first.total is None or not first.full:
        return 1
    return min(-(-first.total // PAGE_SIZE), PAGES_MAX)


def _chunks(ids: Sequence[str], bytes_max: int) -> Iterator[str]:
    chunk: list[str] = []
    bytes_left = bytes_max
    for task_id in ids:
        part = _FILTER + segment(task_id)
        if chunk and (len(part) > bytes_left or len(chunk) == PAGE_SIZE):
            yield "".join(chunk)
            chunk, bytes_left = [], bytes_max
        chunk.append(part)
        bytes_left -= len(part)
    if chunk:
        yield "".join(chunk)
