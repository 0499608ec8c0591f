"""The finished file at a server of `/v1/videos`, and the meaning of its refusal."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from reelhook.domain.errors import (
    ContentMissingError,
    FileAddressRefusedError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.report import Missing, Reading
from reelhook.ports import Content

FORGOTTEN = (
    "The server no longer has this video (404): servers that keep their jobs in memory lose "
    "them at a restart"
)


@asynccontextmanager
async def content_or_missing(
    opening: AbstractAsyncContextManager[Content], job: Callable[[], Awaitable[Reading]]
) -> AsyncIterator[Content]:
    """Open a file. If that fails, read its job: without a job the file is gone permanently.

    Aquiles returns HTTP 500 for the file of a job that it no longer has. Raises
    `ContentMissingError` or `ProviderError`.
    """
    async with AsyncExitStack() as stack:
        try:
            content = await stack.enter_async_context(opening)
        except (FileAddressRefusedError, ProviderUnauthorizedError):
            raise
        except ProviderError as error:
            if not await _is_gone(job):
                raise
            raise ContentMissingError(FORGOTTEN) from error
        yield content


async def _is_gone(job: Callable[[], Awaitable[Reading]]) -> bool:
    try:
        return isinstance((await job()).report, Missing)
    except ProviderError:
        return False
