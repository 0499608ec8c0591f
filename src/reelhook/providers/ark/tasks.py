"""Pages of Ark's listing of tasks, 500 tasks each.

Query names as in volcengine-ark-runtime 5.0.54 (`resources/content_generation/tasks.py`); limits
from the API reference, "List video generation tasks": pages of 1 to 500, tasks of the last 7 days,
and `filter.service_tier`, which defaults to `default`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import ListingUnsupportedError
from reelhook.providers.http.error_mapping import error_message, not_understood, read_error
from reelhook.providers.http.json_fields import Fields, number
from reelhook.providers.http.response import ProviderResponse

PATH = "contents/generations/tasks"
PAGE_SIZE = 500
FLEX = "flex"
"""The tier of renders at half the price; they are listed only with its filter."""

_CONCURRENT_MAX = 8
_NO_LISTING = frozenset({400, 404, 405, 413, 414, 422, 501})

T = TypeVar("T")
Ask = Callable[[str, str], Awaitable[ProviderResponse]]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. `total` is the number of tasks that match the filter; None if unknown."""

    tasks: tuple[Fields, ...]
    total: int | None
    unreadable: int = 0

    @property
    def full(self) -> bool:
        """Return True if more may follow."""
        return len(self.tasks) + self.unreadable >= PAGE_SIZE


class TaskPages:
    """Reads pages of tasks, at most 8 at once. `now` returns Unix seconds."""

    def __init__(self, ask: Ask, now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._slots = asyncio.Semaphore(_CONCURRENT_MAX)

    async def page(
        self, number: int = 1, tier: str | None = None, filters: str = "", size: int = PAGE_SIZE
    ) -> TaskPage:
        """Read a page; `filters` begin with `&`.

        Raises `ListingUnsupportedError` if the server has no listing, else `ProviderError`.
        """
        tier_filter = "" if tier is None else f"&filter.service_tier={tier}"
        async with self._slots:
            response = await self._ask(
                "GET", f"{PATH}?page_num={number}&page_size={size}{tier_filter}{filters}"
            )
        if response.status in _NO_LISTING:
            raise ListingUnsupportedError(error_message(response))
        if not response.ok:
            raise read_error(response, self._now())
        items = response.fields().get("items")
        return await run_in_thread_if_large(
            len(items) if isinstance(items, list) else 0, partial(_page, response)
        )


async def together(reads: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Run reads concurrently and wait for all of them. Raises the first exception, if any."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _page(response: ProviderResponse) -> TaskPage:
    listing = response.fields()
    items, total = listing.get("items"), number(listing.get("total"))
    if items is None and total == 0:
        items = []  # Go writes an empty list as null
    if not isinstance(items, list):
        raise not_understood(response, "a list of tasks")
    tasks = tuple(item for item in items if isinstance(item, dict))
    return TaskPage(tasks, None if total is None else int(total), len(items) - len(tasks))
