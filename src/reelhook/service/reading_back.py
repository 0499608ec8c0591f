"""Reading back what was just written, for the answer."""

from collections.abc import Awaitable
from typing import TypeVar

from reelhook.domain.errors import CommitUnknownError, StoreError

T = TypeVar("T")


async def read_back(reading: Awaitable[T], **ids: str) -> T:
    """Return what a read brings. Where it fails, `StoreError` would say that nothing was written:
    `CommitUnknownError` is raised in its place, with these ids.
    """
    try:
        return await reading
    except StoreError as error:
        raise CommitUnknownError(ids) from error
