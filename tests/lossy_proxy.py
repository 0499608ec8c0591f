"""What stands between a program and PostgreSQL, and loses responses to COMMIT."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
"""The simple query, as it goes over the wire: type, length, text."""


@dataclass(slots=True)
class LossyProxy:
    """Hands bytes on, until the next COMMIT while it is armed.

    `delivered`: the server gets that COMMIT, and only its response is lost. Otherwise the server
    gets neither the COMMIT nor the news that the connection is gone, and goes on with the
    transaction open, until `release`, which delivers the COMMIT after all.
    """

    port: int = 0
    armed: Callable[[], bool] = lambda: False
    delivered: bool = True
    cut: int = 0
    open_to_new: bool = True
    _held: list[tuple[asyncio.StreamWriter, bytes]] = field(default_factory=list)

    async def release(self) -> None:
        """Let the server have what was held back."""
        for writer, data in self._held:
            writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()

    def forget(self) -> None:
        for writer, _ in self._held:
            writer.close()

    async def serve(self, there: str | tuple[str, int], client: "Side") -> None:
        if not self.open_to_new:
            client.writer.transport.abort()
            return
        server = await _connected(there)
        lost = asyncio.Event()
        up = asyncio.create_task(self._up(client, server, lost))
        down = asyncio.create_task(self._down(server, client, lost))
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set() and self.delivered:
            await down  # the server's response is read, and thrown away
        client.writer.transport.abort()
        held = any(writer is server.writer for writer, _ in self._held)
        if not held:
            server.writer.close()
        for task in (up, down):
            task.cancel()

    async def _up(self, client: "Side", server: "Side", lost: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await client.reader.read(65536):
                if COMMIT in data and self.armed():
                    self.cut += 1
                    lost.set()
                    if not self.delivered:
                        self._held.append((server.writer, data))
                        return
                server.writer.write(data)
                await server.writer.drain()

    async def _down(self, server: "Side", client: "Side", lost: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await server.reader.read(65536):
                if lost.is_set():
                    return
                client.writer.write(data)
                await client.writer.drain()


@dataclass(frozen=True, slots=True)
class Side:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _connected(there: str | tuple[str, int]) -> Side:
    if isinstance(there, str):
        return Side(*await asyncio.open_unix_connection(there))
    return Side(*await asyncio.open_connection(*there))


@asynccontextmanager
async def lossy(url: str) -> AsyncIterator[tuple[LossyProxy, str]]:
    """Run a proxy before the server of this URL; yield it, and the URL through it."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host")
    there: str | tuple[str, int]
    if folder:
        there = f"{folder[0]}/.s.PGSQL.{parts.port or 5432}"
    else:
        there = (parts.hostname or "127.0.0.1", parts.port or 5432)
    proxy = LossyProxy()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(there, Side(reader, writer)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1")
    proxy.port = listener.sockets[0].getsockname()[1]
    user = parts.username or "postgres"
    try:
        yield proxy, f"postgresql://{user}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"
    finally:
        listener.close()
        proxy.forget()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
