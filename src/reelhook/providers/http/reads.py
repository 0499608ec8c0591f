"""Requests that cost nothing: read to their end, over kept connections."""

import asyncio
from collections.abc import Mapping

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from reelhook.domain.errors import ProviderError, ResponseTooLargeError
from reelhook.providers.http.receiving import RESPONSE_BYTES_MAX, UNREAD_BYTES, ResponseMemory
from reelhook.providers.http.response import CONNECTION_ERRORS, ProviderResponse, described

CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 15.0


def session() -> ClientSession:
    """Return a session for reads and downloads; how many run at once is their caller's choice."""
    return ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())


async def ask(
    http: ClientSession,
    method: str,
    url: URL,
    headers: Mapping[str, str],
    *,
    room: ResponseMemory,
    bytes_max: int = RESPONSE_BYTES_MAX,
) -> ProviderResponse:
    """Return the answer, whatever its status. Raises `ProviderError`.

    One that is longer than `bytes_max` raises `ResponseTooLargeError`, unless its status says
    enough. Redirects are not followed: a base URL that answers with them is wrong, and would put
    every paid request in doubt.
    """
    if http.closed:  # a stop that ran out of time does not wait for who still wants to read
        raise ProviderError("The provider was not asked: this process is stopping")
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
            answer = await room.receive(response, bytes_max)
    except CONNECTION_ERRORS as error:
        words = f"The provider could not be read: {described(error)}"
        raise ProviderError(words, unreachable=True) from error
    if answer.body is None and answer.ok:
        raise ResponseTooLargeError(bytes_max)
    return answer
