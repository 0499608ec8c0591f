"""What stands around a check: a proxy before the server, a receiver of webhooks, an image."""

import asyncio
import io
import json
from collections import Counter
from typing import Any, Self

import aiohttp
from aiohttp import web
from PIL import Image

_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_IMAGE_SIDE = 64


class Proxy:
    """Passes requests on to a server, counts creates by status, and loses responses on request."""

    def __init__(self) -> None:
        self.target = ""
        self.creates: Counter[str] = Counter()
        """By status; `lost` where the response was thrown away."""
        self.lose = ""
        """The response to a create that contains this text is lost, once."""
        self._session: aiohttp.ClientSession | None = None

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        kept = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        try:
            async with self._client().request(
                request.method,
                f"{self.target}{request.raw_path}",
                data=body or None,
                headers=kept,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except aiohttp.ClientError:  # the server is gone, and so is this connection
            return self._dropped(request)
        if request.method == "POST" and request.path.endswith("/videos"):
            if self.lose and self.lose.encode() in body:
                self.lose = ""
                self.creates["lost"] += 1
                return self._dropped(request)
            self.creates[str(response.status)] += 1
        headers = {k: v for k, v in response.headers.items() if k.lower() not in _HOP_BY_HOP}
        return web.Response(body=content, status=response.status, headers=headers)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Aquiles ends a connection behind its own errors, so none is used twice.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session

    @staticmethod
    def _dropped(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


class Around:
    """The proxy, `/hook` for webhooks and `/fox.png`, on loopback ports; used with `async with`."""

    def __init__(self) -> None:
        self.proxy = Proxy()
        self.webhooks: list[dict[str, Any]] = []
        self.proxy_url = self.url = ""
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Self:
        proxy = web.Application(client_max_size=64 * 2**20)
        proxy.router.add_route("*", "/{path:.*}", self.proxy.pass_on)
        own = web.Application()
        own.router.add_post("/hook", self._webhook)
        own.router.add_get("/fox.png", self._image)
        self.proxy_url, self.url = await self._serve(proxy), await self._serve(own)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        await self.proxy.close()

    async def _serve(self, app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _webhook(self, request: web.Request) -> web.Response:
        self.webhooks.append(json.loads(await request.read()))
        return web.Response()

    async def _image(self, _request: web.Request) -> web.Response:
        return web.Response(body=image(), content_type="image/png")


def image() -> bytes:
    """Return a real PNG."""
    file = io.BytesIO()
    Image.new("RGB", (_IMAGE_SIDE, _IMAGE_SIDE), "teal").save(file, "PNG")
    return file.getvalue()
