"""Advising: at a start, says what providers do that costs money and nobody would expect."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import structlog

from reelhook.domain.errors import ProviderError
from reelhook.ports import Provider
from reelhook.providers.http.provider import HttpProvider

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def advising(providers: Mapping[str, Provider]) -> AsyncIterator[None]:
    """Ask every provider beside the block, which waits for none of them."""
    asking = [
        asyncio.create_task(_advise(account, provider))
        for account, provider in providers.items()
        if isinstance(provider, HttpProvider)
    ]
    try:
        yield
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _advise(account: str, provider: HttpProvider) -> None:
    try:
        found = await provider.advice()
    except ProviderError as error:
        log.debug("account.unadvised", account=account, error=error.message)
        return
    for one in found:
        if one.costs:
            log.warning(one.message, account=account)
