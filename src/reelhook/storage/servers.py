"""The servers that a PostgreSQL URL names: where there are several, one of them takes writes."""

import asyncio
from typing import Any

import asyncpg

from reelhook.domain.errors import StoreError

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a word
    OSError,
    TimeoutError,
)
CONNECT_SECONDS = 10.0
"""How long a lone server may take to answer."""
ONE_OF_SEVERAL_SECONDS = 2.0
"""How long one of several may take before the next one is asked."""


class Servers:
    """Connects to whichever takes writes, beginning with the one that did so last.

    The database library tries several hosts too, but in one time for all: a host that does not
    answer at all would use it up, and a failure of one would hide the others.
    """

    def __init__(self, url: str) -> None:
        self._urls = single_urls(url)
        several = len(self._urls) > 1
        self._seconds = ONE_OF_SEVERAL_SECONDS if several else CONNECT_SECONDS
        chosen = several and "target_session_attrs=" not in url
        self._options = {"target_session_attrs": "read-write"} if chosen else {}

    async def connect(self, **options: Any) -> asyncpg.Connection:
        """Open a connection. Raises one of `FAILURES`, or `ValueError` for a wrong URL."""
        failure: Exception = StoreError("DATABASE_URL names no server")
        for url in self._urls:
            try:
                connection = await self._connected(url, options)
            except FAILURES as error:
                failure = error
            else:
                self._urls = [url, *(other for other in self._urls if other != url)]
                return connection
        raise failure

    async def _connected(self, url: str, options: dict[str, Any]) -> asyncpg.Connection:
        async with asyncio.timeout(self._seconds):
            return await asyncpg.connect(url, **self._options, **options)


def words_of(error: BaseException) -> str:
    """Return what an error says; those of time say nothing."""
    return str(error) or "it did not answer in time"


def single_urls(url: str) -> list[str]:
    """Return a URL for each host of `postgresql://user@one:5432,two:5432/name?option=value`."""
    scheme, _, rest = url.partition("://")
    end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}://{user}{at}{host}{rest[end:]}" for host in hosts.split(",")]
