"""Requests that cost nothing, over kept-alive connections."""

import asyncio
from collections.abc import Mapping

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from reelhook.domain.errors import ProviderError, ResponseTooLargeError
from reelhook.providers.http.response import (
    CONNECTION_ERRORS,
    ProviderResponse,
    error_description,
)
from reelhook.providers.http.response_memory import (
    RESPONSE_BYTES_MAX,
    UNREAD_BYTES,
    ResponseMemory,
)

CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 15.0


def session() -> ClientSession:
    """Return a session for reads and downloads; the callers limit the number of requests."""
    return ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())


async def ask(
    http: ClientSession,
    method: str,
    url: URL,
    headers: Mapping[str, str],
    *,
    memory: ResponseMemory,
    bytes_max: int = RESPONSE_BYTES_MAX,
) -> ProviderResponse:
    """Return the response, whatever its status. Raises `ProviderError`.

    A 2xx that is longer than `bytes_max` raises `ResponseTooLargeError`. Redirects are not
    followed: a base URL that redirects is wrong, and would leave every paid request in doubt.
    """
    if http.closed:  # a stop that ran out of time does not wait for late readers
        raise ProviderError("No request was sent to the provider: this process is stopping")
    try:
        async with (
            asyncio.timeout(READ_SECONDS_MAX),
            http.request(
                method,
                url,
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                auto_decompress=False,
                read_bufsize=UNREAD_BYTES,
                timeout=ClientTimeout(total=READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            ) as response,
        ):
            received = await memory.receive(response, bytes_max)
    except CONNECTION_ERRORS as error:
        message = f"The provider could not be read: {error_description(error)}"
        raise ProviderError(message, unreachable=True) from error
    if received.body is None and received.ok:
        raise ResponseTooLargeError(bytes_max)
    return received
