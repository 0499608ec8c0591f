"""The one request that costs money: sent once, over a fresh connection, never repeated.

aiohttp 3.14 repeats a request only for idempotent methods, and only if a kept-alive connection
had died (`client.IDEMPOTENT_METHODS`). Here no connection is kept alive. aiohttp would also follow
the redirects 307 and 308 by sending the body again, so redirects are not followed.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
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
from reelhook.providers.http.local_errors import is_local_error
from reelhook.providers.http.response import (
    CONNECTION_ERRORS,
    ProviderResponse,
    error_description,
)
from reelhook.providers.http.response_memory import UNREAD_BYTES, ResponseMemory

CONNECT_SECONDS_MAX = 10.0
"""The time for the name look-up, the connection and the TLS handshake together."""
LARGE_BYTES = 1024 * 1024
"""A larger body is sent piece by piece."""


@dataclass(slots=True)
class _Progress:
    """The progress of one request: `connected` once its first byte may have been sent."""

    may_send: Callable[[], bool]
    connected: bool = False


class RightLostError(Exception):
    """The right to pay expired while the connection was being made."""


async def _connected(_session: ClientSession, context: SimpleNamespace, _params: object) -> None:
    progress: _Progress = context.trace_request_ctx
    # Nothing is awaited from here to the first byte.
    if not progress.may_send():
        raise RightLostError
    progress.connected = True


def _streamed(content: bytes | BytesIO | FormData) -> BytesIO | bytes | FormData:
    """Return content that aiohttp sends piece by piece, without a pause of all other requests."""
    if isinstance(content, bytes) and len(content) > LARGE_BYTES:
        return BytesIO(content)
    return content


class PaidPost:
    """Sends paid requests. Made within a running loop; `close` ends it.

    `memory` bounds their responses.
    """

    def __init__(self, memory: ResponseMemory) -> None:
        self._memory = memory
        trace = TraceConfig()
        # Called when TCP and TLS are established, before the first byte of the request.
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        self._session = ClientSession(
            connector=TCPConnector(limit=0, force_close=True),
            cookie_jar=DummyCookieJar(),
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close the session. A request in flight ends in doubt."""
        await self._session.close()

    async def send(
        self,
        url: URL,
        content: bytes | BytesIO | FormData,
        *,
        headers: Mapping[str, str],
        timeout_seconds: float,
        may_send: Callable[[], bool],
    ) -> ProviderResponse | NotSent | InDoubt:
        """POST once, within `timeout_seconds` in total. Raises nothing except cancellation.

        A status that has arrived counts: if the body is cut off or too long,
        `ProviderResponse.body` is None.
        """
        progress = _Progress(may_send)
        try:
            async with self._session.post(
                url,
                data=_streamed(content),
                headers={"Accept-Encoding": "identity", "Connection": "close", **headers},
                allow_redirects=False,
                auto_decompress=False,
                read_bufsize=UNREAD_BYTES,
                timeout=ClientTimeout(
                    total=timeout_seconds, connect=min(CONNECT_SECONDS_MAX, timeout_seconds)
                ),
                trace_request_ctx=progress,
            ) as response:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        return await self._memory.receive(response)
                except CONNECTION_ERRORS:
                    return ProviderResponse(response.status, response.headers, None)
        except Exception as error:  # any error: only `connected` decides if it may be in doubt
            if progress.connected:
                return InDoubt(f"no complete response arrived: {error_description(error)}")
            ours = isinstance(error, RightLostError) or is_local_error(error)
            return NotSent(f"no connection was made: {error_description(error)}", ours=ours)
