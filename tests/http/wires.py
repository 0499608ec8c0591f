"""A client that writes bytes, for what no HTTP library would send."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 20


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of an error, which must have the form of all errors."""
        error = json.loads(self.body)
        assert set(error) == {"error", "code"}, error
        assert self.headers["content-type"] == "application/json"
        return self.status, error["code"]

    @property
    def words(self) -> str:
        return str(json.loads(self.body)["error"])


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send all of it; what the server does not take any more is dropped."""
        try:
            async with asyncio.timeout(SECONDS):
                self._writer.write(data)
                await self._writer.drain()
        except ConnectionError:
            pass

    async def answer(self) -> Answer | None:
        """Return the next response; None where the connection was closed without one."""
        async with asyncio.timeout(SECONDS):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
                status_line, *lines = head.decode().rstrip().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines)
                body = await self._reader.readexactly(int(headers.get("content-length", 0)))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        return Answer(int(status_line.split()[1]), headers, body)

    async def peek(self) -> None:
        """Wait until something came, and leave it there."""
        while not self._reader._buffer:  # type: ignore[attr-defined] # it has no other way to look
            await self._reader._wait_for_data("peek")  # type: ignore[attr-defined] # as above

    async def refusal(self) -> tuple[int, str]:
        """Return status and code of the response, after which the connection must be closed."""
        answer = await self.answer()
        assert answer is not None
        assert answer.headers["connection"] == "close"
        assert await self.closed()
        return answer.refusal

    async def closed(self) -> bool:
        """Wait for the end; return whether nothing came before it."""
        async with asyncio.timeout(SECONDS):
            try:
                return not await self._reader.read()
            except ConnectionError:
                return True

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Wire]:
    parts = urlsplit(url)
    assert parts.hostname
    plug = socket.socket()
    plug.setblocking(False)
    for name, value in options.items():
        plug.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    await asyncio.get_running_loop().sock_connect(plug, (parts.hostname, parts.port or 80))
    wire = Wire(*await asyncio.open_connection(sock=plug))
    try:
        yield wire
    finally:
        wire.close()
