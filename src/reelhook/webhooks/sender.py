"""The sender: an attempt is one POST with limits on time and size, and without redirects."""

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Self

import aiohttp
from yarl import URL

from reelhook.domain.delivery import WebhookResponse
from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.connection import OpenSocket, dialling
from reelhook.guard.resolver import SystemLookUp
from reelhook.guard.target import parse_target
from reelhook.ports import SignedRequest
from reelhook.webhooks.connection import connector, open_socket
from reelhook.webhooks.exchange import Exchange
from reelhook.webhooks.faults import diagnose

CONNECT_SECONDS = 5.0
"""DNS, TCP and TLS together."""
URLS_KEPT = 4096
_RESPONSE_BUFFER_BYTES = 16 * 1024
_BROKEN = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
)


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class AiohttpSender:
    """`Sender` over aiohttp: `async with AiohttpSender(policy) as sender`, inside a running loop.

    `now` is the wall clock in Unix milliseconds, for the dates of `Retry-After`. `tls` replaces
    the system's trusted authorities.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        now: Callable[[], int] = _wall_clock,
        look_up: LookUp | None = None,
        open_socket: OpenSocket = open_socket,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._policy = policy
        self._now = now
        self._connect_seconds = connect_seconds
        # The same few URLs recur. A refused URL is not cached, but checked again each time.
        self._trusted_url = lru_cache(URLS_KEPT)(_trusted_url)
        self._guarded_url = lru_cache(URLS_KEPT)(partial(_guarded_url, policy))
        look_up = look_up or SystemLookUp()
        # Two pools, so that no URL of the API uses a connection that was opened unguarded.
        self._guarded, self._trusting = (
            self._session(connector(guard, look_up=look_up, open_socket=open_socket, tls=tls))
            for guard in (policy, None)
        )

    def _session(self, pool: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=pool,
            cookie_jar=aiohttp.DummyCookieJar(),
            # `send` limits the total time.
            timeout=aiohttp.ClientTimeout(connect=self._connect_seconds),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            read_bufsize=_RESPONSE_BUFFER_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; attempts in flight fail."""
        await self._guarded.close()
        await self._trusting.close()

    async def send(self, request: SignedRequest) -> WebhookResponse:
        """Send a POST and return the response, body included, within `timeout_seconds`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        exchange = Exchange()
        fault = None
        try:
            async with asyncio.timeout(request.timeout_seconds):
                await self._attempt(request, exchange)
        except Exception as error:
            # The port promises to raise nothing.
            fault = diagnose(
                error,
                connect_seconds=self._connect_seconds,
                timeout_seconds=request.timeout_seconds,
            )
        duration_ms = round((loop.time() - started) * 1000)
        return exchange.outcome(fault, duration_ms=duration_ms, now=self._now())

    async def _attempt(self, request: SignedRequest, exchange: Exchange) -> None:
        response = await self._post(request)
        try:
            await exchange.read(response)
        finally:
            # After a complete body, the connection is already back in the pool. Else close it.
            response.close()

    async def _post(self, request: SignedRequest) -> aiohttp.ClientResponse:
        session, url = self._route(request)
        with dialling() as dial:
            try:
                return await _try(session, url, request)
            except aiohttp.ClientConnectorError:
                raise
            except _BROKEN:
                if dial.opened:
                    raise
        # A pooled connection that the receiver had already closed: this is the same attempt.
        with dialling():
            return await _try(session, url, request)

    def _route(self, request: SignedRequest) -> tuple[aiohttp.ClientSession, URL]:
        if request.trusted:
            return self._trusting, self._trusted_url(request.url)
        return self._guarded, self._guarded_url(request.url)


def _trusted_url(url: str) -> URL:
    return URL(parse_target(url).wire_url, encoded=True)


def _guarded_url(policy: AddressPolicy, url: str) -> URL:
    return URL(policy.parse(url).wire_url, encoded=True)


async def _try(
    session: aiohttp.ClientSession, url: URL, request: SignedRequest
) -> aiohttp.ClientResponse:
    return await session.post(
        url, data=request.body, headers=request.headers, allow_redirects=False
    )
