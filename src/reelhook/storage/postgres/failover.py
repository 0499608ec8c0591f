"""Failover among the servers that a PostgreSQL URL names."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping
from typing import Any

import asyncpg

from reelhook.domain.errors import StoreError
from reelhook.guard.resolver import SystemLookUp
from reelhook.storage.postgres.url import name_of_host, read_url

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut within a message
    OSError,
    TimeoutError,
)
SOLE_SERVER_SECONDS = 10.0
"""The time limit for connecting to the only server."""
ONE_OF_SEVERAL_SECONDS = 2.0
"""The time limit for connecting to one of several servers before the next one is tried."""


class Failover:
    """Connects to the server that accepts writes, starting with the one that did so last.

    asyncpg also tries several hosts, but with one time limit for all: a host that does not respond
    would use it up, and its failure would hide the others. Raises `SettingsError` for a URL that
    can't be used.
    """

    def __init__(self, url: str) -> None:
        read = read_url(url)
        self._urls = list(read.urls)
        several = len(self._urls) > 1
        self._seconds = read.seconds or (ONE_OF_SEVERAL_SECONDS if several else SOLE_SERVER_SECONDS)
        chosen = several and "target_session_attrs=" not in self._urls[0]
        self._options = {
            **read.options,
            **({"target_session_attrs": "read-write"} if chosen else {}),
        }
        self._keepalives = read.keepalives
        self._look_up = SystemLookUp()

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
            if (name := name_of_host(url)) is not None:
                # asyncpg would look it up in a thread that delays the end of the program until the
                # name server responds. After this look-up the reply is cached.
                await self._look_up(name)
            connection = await asyncpg.connect(url, **self._options, **options)
        if self._keepalives is not None:
            _keep_alive(connection, self._keepalives)
        return connection


def _keep_alive(connection: asyncpg.Connection, options: Mapping[str, int]) -> None:
    """Have the system detect that the server is gone, as libpq does by default."""
    # asyncpg creates its socket itself and offers no public access to it.
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    with contextlib.suppress(OSError):  # optional: the connection works without it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if (number := _TCP_OPTIONS.get(name)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, number, value)


_TCP_OPTIONS: Mapping[str, int | None] = {
    "keepalives_idle": getattr(
        socket, "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE", None
    ),
    "keepalives_interval": getattr(socket, "TCP_KEEPINTVL", None),
    "keepalives_count": getattr(socket, "TCP_KEEPCNT", None),
    "tcp_user_timeout": getattr(socket, "TCP_USER_TIMEOUT", None),
}
