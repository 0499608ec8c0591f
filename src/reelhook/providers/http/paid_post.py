"""The one request that costs money: sent once, over a fresh connection, never repeated.

aiohttp 3.14 by itself repeats a request only for idempotent methods, and only on a kept-alive
connection that had died (`client.IDEMPOTENT_METHODS`); redirects it would follow by sending the
body again (307, 308), so they are not followed. Here no connection is ever kept.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from aiohttp import (
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    FormData,
    TCPConnector,
    TraceConfig,
)
from yarl import URL

from reelhook.domain.report import InDoubt, NotSent
from reelhook.providers.http.local_errors import is_own_trouble
from reelhook.providers.http.receiving import UNREAD_BYTES, ResponseMemory
from reelhook.providers.http.response import CONNECTION_ERRORS, ProviderResponse, described

CONNECT_SECONDS_MAX = 10.0
"""How long looking up the name, connecting and the TLS handshake may take together."""


@dataclass(slots=True)
class _Trip:
    """How far a request came."""

    may_send: Callable[[], bool]
    connected: bool = False


class RightLostError(Exception):
    """The right to pay ran out while the connection was being made."""


async def _connected(_session: ClientSession, context: SimpleNamespace, _params: object) -> None:
    trip: _Trip = context.trace_request_ctx
    # Nothing is awaited from here to the first byte.
    if not trip.may_send():
        raise RightLostError
    trip.connected = True


class PaidPost:
    """Sends paid requests. Made within a running loop; `close` ends it.

    `room` is what their answers may take.
    """

    def __init__(self, room: ResponseMemory) -> None:
        self._room = room
        trace = TraceConfig()
        # Called once TCP and TLS stand, before the first byte of the request.
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        self._session = ClientSession(
            connector=TCPConnector(limit=0, force_close=True),
            cookie_jar=DummyCookieJar(),
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close the session. A request under way ends in doubt."""
        await self._session.close()

    async def send(
        self,
        url: URL,
        content: bytes | FormData,
        *,
        headers: Mapping[str, str],
        timeout_seconds: float,
        may_send: Callable[[], bool],
    ) -> ProviderResponse | NotSent | InDoubt:
        """POST once, within `timeout_seconds` in all. Never raises, but for cancellation.

        Once the status is there, it counts: a body that is cut off, or longer than what is read,
        leaves `ProviderResponse.body` None.
        """
        trip = _Trip(may_send)
        try:
            async with self._session.post(
                url,
                data=content,
                headers={"Accept-Encoding": "identity", "Connection": "close", **headers},
                allow_redirects=False,
                auto_decompress=False,
                read_bufsize=UNREAD_BYTES,
                timeout=ClientTimeout(
                    total=timeout_seconds, connect=min(CONNECT_SECONDS_MAX, timeout_seconds)
                ),
                trace_request_ctx=trip,
            ) as response:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        return await self._room.receive(response)
                except CONNECTION_ERRORS:
                    return ProviderResponse(response.status, response.headers, None)
        except Exception as error:  # whatever it was: what counts is whether we were connected
            if trip.connected:
                return InDoubt(f"no whole response came: {described(error)}")
            ours = isinstance(error, RightLostError) or is_own_trouble(error)
            return NotSent(f"no connection was made: {described(error)}", ours=ours)
