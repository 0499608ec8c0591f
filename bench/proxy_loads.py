"""What is sent through a proxy: uploads that are refused, late bodies, requests after a pause."""

import asyncio
import contextlib
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.proxy_programs import NAME

KEY = "a-long-random-text-of-a-bench"
KILOBYTE = 1000
AT_ONCE = 8
INNOCENT_SECONDS = 0.05
ANSWER_SECONDS_MAX = 20.0
JSON = "application/json"
CREATE = "/api/generate"
REGISTER = "/api/jobs/register"
"""A route that takes no files, and so refuses bodies above 1 MiB."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: directly by plain HTTP, or through a proxy by TLS."""

    name: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """One that must be refused with this status."""

    status: int
    length: int
    key: str = KEY
    content_type: str = JSON
    path: str = CREATE


UPLOADS: Mapping[str, Upload] = {
    "401, 900 kB": Upload(401, 900 * KILOBYTE, key="wrong"),
    "401, 3 MB": Upload(401, 3000 * KILOBYTE, key="wrong"),
    "413, 3 MB, without a key": Upload(413, 3000 * KILOBYTE, key="wrong", path=REGISTER),
    "413, 3 MB": Upload(413, 3000 * KILOBYTE, path=REGISTER),
    "415, 900 kB": Upload(415, 900 * KILOBYTE, content_type="text/plain"),
    "400, 900 kB": Upload(400, 900 * KILOBYTE),
    "400, 3 MB": Upload(400, 3000 * KILOBYTE),
}


@dataclass(slots=True)
class Innocent:
    """What another client saw meanwhile."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@cache
def _tls() -> ssl.SSLContext:
    """Return what all connections share: each of its own would read the authorities for 20 ms."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def connected(way: Way) -> AsyncIterator["Connection"]:
    options = {"ssl": _tls(), "server_hostname": NAME} if way.tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port, **options)  # type: ignore[arg-type] # one of its two forms
    try:
        yield Connection(reader, writer, NAME if way.tls else "localhost")
    finally:
        writer.close()


class Connection:
    """One connection of HTTP/1.1, which nothing opens anew in secret."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    def head(self, method: str, path: str, length: int, upload: Upload | None = None) -> bytes:
        given = upload or Upload(200, length)
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {length}\r\n"
            f"Content-Type: {given.content_type}\r\nAuthorization: Bearer {given.key}\r\n\r\n"
        ).encode()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def status(self) -> int:
        """Read one response; return its status."""
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.startswith("content-length:")
            )
            await self._reader.readexactly(length)
        return int(head.split()[1])


async def ask(way: Way, connection: Connection) -> int:
    """Ask for something that is not there, by a POST, which no client repeats by itself."""
    await connection.send(connection.head("POST", "/api/jobs/none/poll", 2) + b"{}")
    return await connection.status()


# -- refused uploads ------------------------------------------------------------------------------


async def upload_with_curl(way: Way, upload: Upload, body: Path) -> str:
    """Send one as many clients do, by HTTP/2 where there is TLS; return its status."""
    where = (
        ("--connect-to", f"{NAME}:443:127.0.0.1:{way.port}", f"https://{NAME}{upload.path}")
        if way.tls
        else (f"http://127.0.0.1:{way.port}{upload.path}",)
    )
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"),
        *("-H", "Expect:", "-H", f"Content-Type: {upload.content_type}"),
        *("-H", f"Authorization: Bearer {upload.key}", "--data-binary", f"@{body}", *where),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out.decode() or f"curl {process.returncode}"


async def refused_uploads(
    way: Way, upload: Upload, count: int, folder: Path
) -> tuple[Counter[str], Innocent]:
    """Send so many uploads, a few at once, beside an innocent client; return what both got."""
    body = folder / f"{upload.length}.bin"
    await asyncio.to_thread(body.write_bytes, b"x" * upload.length)
    free = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with free:
            return await upload_with_curl(way, upload, body)

    async with innocent(way) as seen:
        statuses = await asyncio.gather(*(one() for _ in range(count)))
    return Counter(statuses), seen


@asynccontextmanager
async def innocent(way: Way) -> AsyncIterator[Innocent]:
    """Have another client read, 20 times a second, until the block ends."""
    seen, over = Innocent(), asyncio.Event()

    async def read() -> None:
        while not over.is_set():
            started = time.monotonic()
            try:
                async with connected(way) as connection:
                    for _ in range(10):
                        started = time.monotonic()
                        await connection.send(connection.head("GET", "/api/jobs", 0))
                        status = await connection.status()
                        seen.seconds.append(time.monotonic() - started)
                        if status != 200:
                            seen.wrong.append(str(status))
                        await asyncio.sleep(INNOCENT_SECONDS)
            except (OSError, EOFError, TimeoutError) as error:
                seen.seconds.append(time.monotonic() - started)
                seen.wrong.append(type(error).__name__)

    reading = asyncio.create_task(read())
    try:
        yield seen
    finally:
        over.set()
        await reading


async def late_body(way: Way, upload: Upload, wait_seconds: float) -> str:
    """Send a body so long after its head; return the status of the response."""
    async with connected(way) as connection:
        await connection.send(connection.head("POST", upload.path, upload.length, upload))
        await asyncio.sleep(wait_seconds)
        with contextlib.suppress(OSError):  # refused before, and to be read all the same
            await connection.send(b"x" * upload.length)
        try:
            return str(await connection.status())
        except (OSError, EOFError, TimeoutError) as error:
            return type(error).__name__


# -- idle connections -----------------------------------------------------------------------------


async def after_pauses(
    way: Way,
    seconds: tuple[float, float],
    connections: int,
    requests: int,
    *,
    later_seconds: float = 0.0,
) -> list[str]:
    """Ask on each connection after pauses of so many seconds, from later on; return what broke."""
    await asyncio.sleep(later_seconds)
    chance = random.Random(7)  # noqa: S311 - it keeps no secret
    opening = asyncio.Semaphore(20)
    broken: list[str] = []

    async def one(pauses: list[float]) -> None:
        try:
            async with opening:
                entered = connected(way)
                connection = await entered.__aenter__()
            try:
                await ask(way, connection)
                for pause in pauses:
                    await asyncio.sleep(pause)
                    if (status := await ask(way, connection)) != 404:
                        broken.append(str(status))
            finally:
                await entered.__aexit__(None, None, None)
        except (OSError, EOFError, TimeoutError) as error:
            broken.append(f"{type(error).__name__}: {error}")

    await asyncio.gather(
        *(one([chance.uniform(*seconds) for _ in range(requests)]) for _ in range(connections))
    )
    return broken


# -- what everybody does --------------------------------------------------------------------------


async def timed_calls(way: Way, count: int) -> tuple[list[float], list[float]]:
    """Create and retrieve so many jobs, one after the other; return how long each took."""
    creates, reads = [], []
    body = json.dumps({"script": "A fox", "seconds": 1, "size": "64x64"}).encode()
    async with connected(way) as connection:
        for _ in range(count):
            started = time.monotonic()
            await connection.send(connection.head("POST", CREATE, len(body)) + body)
            if await connection.status() != 200:
                raise RuntimeError("a create was refused")
            creates.append(time.monotonic() - started)
            started = time.monotonic()
            await connection.send(connection.head("GET", "/api/jobs?limit=1", 0))
            await connection.status()
            reads.append(time.monotonic() - started)
    return creates, reads
