"""Asking Ark for tasks, 500 at a time.

Query names as in volcengine-ark-runtime 5.0.54 (`resources/content_generation/tasks.py`); limits
from the API reference, "List video generation tasks": pages of 1 to 500, tasks of the last 7 days,
and `filter.service_tier`, which is `default` where it is left out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.errors import ListingUnsupportedError
from reelhook.providers.http.error_mapping import not_understood, unread, words
from reelhook.providers.http.json_fields import number
from reelhook.providers.http.response import ProviderResponse

PATH = "contents/generations/tasks"
PAGE_SIZE = 500
FLEX = "flex"
"""The tier of renders at half the price, which are not listed unless they are asked for."""

_AT_ONCE = 8
_NO_LISTING = frozenset({400, 404, 405, 413, 414, 422, 501})

T = TypeVar("T")
Fields = Mapping[str, object]
Ask = Callable[[str, str], Awaitable[ProviderResponse]]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. `total` counts all that fit the filter; None where it is not told."""

    tasks: tuple[Fields, ...]
    total: int | None
    unreadable: int = 0

    @property
    def full(self) -> bool:
        """Whether more may follow."""
        return len(self.tasks) + self.unreadable >= PAGE_SIZE


class TaskPages:
    """Reads pages of tasks, at most 8 at once. `now` tells Unix seconds."""

    def __init__(self, ask: Ask, now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def page(
        self, number: int = 1, tier: str | None = None, filters: str = "", size: int = PAGE_SIZE
    ) -> TaskPage:
        """Read a page; `filters` begin with `&`.

        Raises `ListingUnsupportedError` for a listing that refuses, else `ProviderError`.
        """
        only = "" if tier is None else f"&filter.service_tier={tier}"
        async with self._slots:
            answer = await self._ask(
                "GET", f"{PATH}?page_num={number}&page_size={size}{only}{filters}"
            )
        if answer.status in _NO_LISTING:
            raise ListingUnsupportedError(words(answer))
        if not answer.ok:
            raise unread(answer, self._now())
        items = answer.fields().get("items")
        return await run_in_thread_if_large(
            len(items) if isinstance(items, list) else 0, partial(_page, answer)
        )


async def together(reads: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Run reads at once, and wait for all of them; raises what the first that failed raised."""
    told = await asyncio.gather(*reads, return_exceptions=True)
    read = [one for one in told if not isinstance(one, BaseException)]
    for one in told:
        if isinstance(one, BaseException):
            raise one
    return read


def _page(answer: ProviderResponse) -> TaskPage:
    listing = answer.fields()
    items, total = listing.get("items"), number(listing.get("total"))
    if items is None and total == 0:
        items = []  # as Go writes an empty list
    if not isinstance(items, list):
        raise not_understood(answer, "a list of tasks")
    tasks = tuple(item for item in items if isinstance(item, dict))
    return TaskPage(tasks, None if total is None else int(total), len(items) - len(tasks))
