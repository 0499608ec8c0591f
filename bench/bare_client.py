"""A client that costs little: it writes prepared bytes, and reads as much as HTTP/1.1 needs."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

AGENT = "User-Agent: bench\r\nAccept: application/json"


def request(url: str, method: str, path: str, key: str, body: bytes | None = None) -> bytes:
    """Return the bytes of a request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        AGENT,
        f"Authorization: Bearer {key}",
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Connection:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, url: str) -> "Connection":
        place = urlsplit(url)
        return cls(*await asyncio.open_connection(place.hostname, place.port))

    async def send(self, content: bytes) -> Any:
        """Send a request; return the response's JSON. An error status raises."""
        self._writer.write(content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self._reader.readexactly(int(fields["content-length"]))
        if not status.split(" ")[1].startswith("2"):
            raise RuntimeError(f"{status}: {body[:500]!r}")
        return json.loads(body)

    def close(self) -> None:
        self._writer.close()


Check = Callable[[Any], None]


async def rate(
    url: str, requests: Iterator[tuple[bytes, Check]], *, seconds: float, at_once: int
) -> float:
    """Send requests over so many connections for so many seconds; return how many a second.

    Each comes with the check of its response, which raises if that is wrong.
    """
    connections = [await Connection.to(url) for _ in range(at_once)]
    began = time.monotonic()
    count = 0

    async def client(connection: Connection) -> None:
        nonlocal count
        while time.monotonic() - began < seconds:
            content, check = next(requests)
            check(await connection.send(content))
            count += 1

    try:
        async with asyncio.TaskGroup() as tasks:
            for connection in connections:
                tasks.create_task(client(connection))
        return count / (time.monotonic() - began)
    finally:
        for connection in connections:
            connection.close()
