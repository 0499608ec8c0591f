"""What stands between a program and PostgreSQL, and loses responses to COMMIT."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
"""The simple query, as it goes over the wire: type, length, text."""
BEGIN = b"BEGIN"


@dataclass(frozen=True, slots=True)
class _Side:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class LossyProxy:
    """Hands bytes on, and loses the responses to those COMMITs that `strikes` chooses.

    It is given what the client has sent since BEGIN. `delivered`: the server gets that COMMIT, and
    only its response is lost. Otherwise the server gets neither the COMMIT nor the news that the
    connection is gone, and goes on with the transaction open, until `release`, which delivers the
    COMMIT after all. `cut` counts.

    It has a thread of its own: a program that starts holds up its event loop for its migrations.
    """

    def __init__(self, there: str | tuple[str, int]) -> None:
        self._there = there
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self.strikes: Callable[[bytes], bool] = lambda _: False
        self.delivered = True
        self.open_to_new = True
        self.cut = 0
        self.port = 0

    def lose(self, mark: bytes = b"", *, delivered: bool) -> None:
        """Lose one response, of a transaction in which the mark was sent."""
        before = self.cut
        self.delivered = delivered
        self.strikes = lambda sent: self.cut == before and mark in sent

    def release(self) -> None:
        """Let the server have what was held back."""
        asyncio.run_coroutine_threadsafe(self._release(), self._loop).result(10)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- in its thread ------------------------------------------------------------------------

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1")
        self.port = self._listener.sockets[0].getsockname()[1]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(_Side(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer, _ in self._held:
            writer.transport.abort()
        await asyncio.sleep(0)  # aborted transports say good-bye to their readers

    async def _release(self) -> None:
        for writer, data in self._held:
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()

    async def _serve(self, client: _Side) -> None:
        if not self.open_to_new:
            client.writer.transport.abort()
            return
        server = await _opened(self._there)
        lost = asyncio.Event()
        ways = [
            self._loop.create_task(self._up(client, server, lost)),
            self._loop.create_task(self._down(server, client, lost)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            client.writer.transport.abort()
            if not any(writer is server.writer for writer, _ in self._held):
                server.writer.transport.abort()

    async def _up(self, client: _Side, server: _Side, lost: asyncio.Event) -> None:
        sent = b""
        with contextlib.suppress(OSError):
            while data := await client.reader.read(65536):
                sent = data if BEGIN in data else sent + data
                if COMMIT in data and self.strikes(sent):
                    lost.set()
                    self.cut += 1
                    if not self.delivered:
                        self._held.append((server.writer, data))
                        return
                server.writer.write(data)
                await server.writer.drain()

    async def _down(self, server: _Side, client: _Side, lost: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            # What comes once it is lost is the response: the server has done it by then.
            while (data := await server.reader.read(65536)) and not lost.is_set():
                client.writer.write(data)
                await client.writer.drain()


async def _opened(there: str | tuple[str, int]) -> _Side:
    if isinstance(there, str):
        return _Side(*await asyncio.open_unix_connection(there))
    return _Side(*await asyncio.open_connection(*there))


@contextmanager
def lossy(url: str) -> Iterator[tuple[LossyProxy, str]]:
    """Run a proxy before the server of this URL; yield it, and the URL through it."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host")
    port = parts.port or 5432
    proxy = LossyProxy(
        f"{folder[0]}/.s.PGSQL.{port}" if folder else (parts.hostname or "127.0.0.1", port)
    )
    proxy.start()
    try:
        user = parts.username or "postgres"
        yield proxy, f"postgresql://{user}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"
    finally:
        proxy.stop()
