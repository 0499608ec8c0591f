"""S3 that refuses, is full, hangs or loses parts: a proxy in front of moto's server."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from bench.processes import free_port

_ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message></Error>'
_HOP = {"transfer-encoding", "connection", "content-length", "content-encoding", "date", "server"}


class Trouble:
    """The proxy. `mode` is `none`, `refuses`, `full`, `hangs` or `loses`."""

    def __init__(self, endpoint: str, http: aiohttp.ClientSession) -> None:
        self.mode = "none"
        self.met: Counter[str] = Counter()
        """The requests that met each mode."""
        self._endpoint = endpoint
        self._http = http

    async def was_met(self, mode: str) -> bool:
        """Return True once a request met this mode."""
        return self.met[mode] > 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request as the mode says."""
        body = await request.read()
        self.met[self.mode] += 1
        match self.mode:
            case "refuses":
                return _refused(403, "AccessDenied", "Access Denied")
            case "full":
                return _refused(507, "InsufficientStorage", "There is no space left")
            case "hangs":
                await asyncio.sleep(3600)
            case "loses" if request.method == "PUT" and "partNumber" in request.query:
                return web.Response(headers={"ETag": '"lost"'})
            case "loses" if request.method == "PUT":
                body = body[: len(body) // 2]
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP | {"host"}}
        url = f"{self._endpoint}{request.raw_path}"
        async with self._http.request(request.method, url, data=body, headers=headers) as response:
            kept = {k: v for k, v in response.headers.items() if k.lower() not in _HOP}
            if request.method == "HEAD" and "Content-Length" in response.headers:
                kept["Content-Length"] = response.headers["Content-Length"]
            return web.Response(status=response.status, body=await response.read(), headers=kept)


def _refused(status: int, code: str, message: str) -> web.Response:
    text = _ERROR.format(code, message)
    return web.Response(status=status, text=text, content_type="application/xml")


@asynccontextmanager
async def moto() -> AsyncIterator[str]:
    """Run moto's server with the bucket `videos`; yield its address."""
    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as http:
            for _ in range(200):
                try:
                    async with http.put(f"{endpoint}/videos") as response:
                        response.raise_for_status()
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        yield endpoint
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def troubled() -> AsyncIterator[tuple[Trouble, dict[str, str]]]:
    """Run moto's server behind the proxy; yield the proxy, and the variables that point at it."""
    async with moto() as endpoint, aiohttp.ClientSession() as http:
        trouble = Trouble(endpoint, http)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", trouble.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield trouble, variables(f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()


def variables(endpoint: str) -> dict[str, str]:
    """Return the variables that point at a bucket's server."""
    return {
        "REELHOOK_ARCHIVE_URL": "s3://videos/prefix",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
