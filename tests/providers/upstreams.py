"""Servers for the provider tests: one that responds as configured, and others that misbehave."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cleaning_up import clean_up
from multidict import CIMultiDictProxy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Behaviour = Callable[["Raw", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDictProxy[str]
    body: bytes
    peer: object

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Upstream:
    """Answers every request with `respond`, and keeps what it was asked."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    respond: Handler | None = None

    def answers(
        self,
        status: int = 200,
        body: object = None,
        *,
        text: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = json.dumps(body) if text is None else text
        raw = content if isinstance(content, bytes) else content.encode()

        async def respond(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=raw, headers=headers)

        self.respond = respond

    @property
    def posts(self) -> int:
        return sum(one.method == "POST" for one in self.seen)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        body = await request.read()
        self.seen.append(
            Seen(
                request.method,
                request.raw_path.partition("?")[0],
                dict(request.query),
                request.headers,
                body,
                peer,
            )
        )
        assert self.respond is not None
        return await self.respond(request)


@asynccontextmanager
async def upstream(host: str = "127.0.0.1") -> AsyncIterator[Upstream]:
    server = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    server.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await clean_up(runner)


@dataclass
class Raw:
    """A bare TCP server: counts connections and the requests that reached it."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def posts(self) -> int:
        return sum(request.startswith(b"POST ") for request in self.requests)

    async def read_request(self, reader: asyncio.StreamReader) -> None:
        """Read head and body of one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.lower().splitlines()
            if line.startswith(b"content-length:")
        ]
        self.requests.append(head + await reader.readexactly(sum(lengths)))
        self.arrived.set()


@asynccontextmanager
async def raw_upstream(behaviour: Behaviour) -> AsyncIterator[Raw]:
    raw = Raw()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        raw.connections += 1
        try:
            await behaviour(raw, reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
