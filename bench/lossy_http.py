"""A load balancer that loses responses and refuses requests, in front of several servers."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import aiohttp
from aiohttp import web

from bench.serving import reset

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "host"})
_CUT_SHORT = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(slots=True)
class LossyHttp:
    """Hands each request to any of the servers that can be reached.

    It cuts a `refused` share of the connections before the request is read, and a `swallowed` share
    after the server has responded.
    """

    urls: Sequence[str]
    random: Random
    refused: float = 0.05
    swallowed: float = 0.30
    url: str = ""
    fates: Counter[str] = field(default_factory=Counter)
    _session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the block ends."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._hand_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield
            finally:
                await runner.cleanup()

    async def _hand_on(self, request: web.Request) -> web.StreamResponse:
        if self.random.random() < self.refused:
            return self._cut(request, "refused")
        try:
            response, body = await self._answer(request)
        except _CUT_SHORT:
            return self._cut(request, "server cut off")
        self.fates[f"HTTP {response.status}"] += 1
        if self.random.random() < self.swallowed:
            return self._cut(request, "swallowed")
        headers = _end_to_end(response.headers)
        headers.pop("Content-Length", None)
        return web.Response(status=response.status, headers=headers, body=body)

    async def _answer(self, request: web.Request) -> tuple[aiohttp.ClientResponse, bytes]:
        """Return the response of the first server that can be reached."""
        assert self._session is not None
        body = await request.read()
        for place, url in enumerate(self.random.sample(self.urls, len(self.urls)), 1):
            try:
                async with self._session.request(
                    request.method,
                    url + request.path_qs,
                    headers=_end_to_end(request.headers),
                    data=body,
                ) as response:
                    return response, await response.read()
            except aiohttp.ClientConnectorError:
                if place == len(self.urls):
                    raise
        raise ValueError("There is no server")

    def _cut(self, request: web.Request, fate: str) -> web.Response:
        self.fates[fate] += 1
        return reset(request)


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
