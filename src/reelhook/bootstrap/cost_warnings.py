"""Warns at the start about provider behaviour that costs money unexpectedly."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import structlog

from reelhook.domain.errors import ProviderError
from reelhook.ports import Provider
from reelhook.providers.http.provider import HttpProvider

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def warning_of_costs(providers: Mapping[str, Provider]) -> AsyncIterator[None]:
    """Ask every provider for advice while the block runs; the block does not wait for it."""
    requests = [
        asyncio.create_task(_warn(account, provider))
        for account, provider in providers.items()
        if isinstance(provider, HttpProvider)
    ]
    try:
        yield
    finally:
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


async def _warn(account: str, provider: HttpProvider) -> None:
    try:
        advice = await provider.advice()
    except ProviderError as error:
        log.debug("account.unadvised", account=account, error=error.message)
        return
    for item in advice:
        if item.costs:
            log.warning(item.message, account=account)
