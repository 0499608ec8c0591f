"""The bombs that clients throw."""

import asyncio
import base64
import contextlib
import io
import json
import os
from collections.abc import Iterator

import aiohttp

KEY = "k" * 40
MIB = 2**20
SECONDS_MAX = 12.0
"""How long a bomb goes on that the server does not end."""
AUTHORIZED = f"Authorization: Bearer {KEY}\r\n".encode()
JSON = b"Content-Type: application/json\r\n" + AUTHORIZED
PICTURE = "data:image/png;base64,iVBORw0KGgoA" + "A" * 890_000
LISTED = 400
UPLOADS = 20
UPLOAD_SECONDS = 10.0
"""The time for the jobs to be submitted."""


class Thrower:
    """One hostile client of the server at this port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._url = f"http://127.0.0.1:{port}"

    async def prepare(self, name: str) -> None:
        """Store what an act needs."""
        if name.startswith("lists"):
            async with self._client() as http:
                for _ in range(LISTED):
                    job_id = (await self._generate(http))["jobId"]
                    url = f"{self._url}/api/jobs/{job_id}/cancel"
                    async with http.post(url, json={"force": True}) as answer:
                        await answer.read()

    @contextlib.asynccontextmanager
    async def _client(self):  # type: ignore[no-untyped-def] # aiohttp's session is what it yields
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {KEY}"}, connector=aiohttp.TCPConnector(limit=0)
        ) as http:
            yield http

    async def _generate(self, http: aiohttp.ClientSession) -> dict[str, str]:
        body = json.dumps({"script": "x", "image": PICTURE}).encode()
        headers = {"Content-Type": "application/json"}
        async with http.post(f"{self._url}/api/generate", data=body, headers=headers) as answer:
            told: dict[str, str] = await answer.json()
            assert answer.status == 200, told
            return told

    async def _pour(self, head: bytes, pieces: Iterator[bytes]) -> None:
        """Send until the server hangs up, the pieces end or the time is over."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(SECONDS_MAX):
                writer.write(head)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _many(self, head: bytes, body: bytes, count: int) -> None:
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        await asyncio.gather(*(self._pour(head + length, iter([body])) for _ in range(count)))
        await asyncio.sleep(1)

    async def nothing(self) -> None:
        await asyncio.sleep(3)

    async def endless_headers(self) -> None:
        pieces = (b"x-a: b\r\n" * 8192 for _ in range(150 * 16))
        await self._pour(b"GET /api/jobs HTTP/1.1\r\nHost: x\r\n", pieces)

    async def endless_header(self) -> None:
        await self._pour(b"GET / HTTP/1.1\r\nA: ", (b"a" * 65536 for _ in range(150 * 16)))

    async def unfinished_heads(self) -> None:
        head = b"GET / HTTP/1.1\r\nA: " + b"a" * 60_000

        async def one() -> None:
            with contextlib.suppress(ConnectionError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(head)
                await asyncio.sleep(5)
                writer.close()

        await asyncio.gather(*(one() for _ in range(1000)))

    async def endless_url(self) -> None:
        await self._pour(b"GET /", (b"a" * 65536 for _ in range(60 * 16)))

    async def pipelined(self) -> None:
        requests = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1500
        await asyncio.gather(*(self._pour(b"", (requests for _ in range(20))) for _ in range(20)))

    async def endless_extension(self) -> None:
        head = b"POST /api/generate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + b"\r\n1;a="
        await self._pour(head, (b"a" * 65536 for _ in range(60 * 16)))

    async def deep_json(self) -> None:
        body = b'{"script": "x", "a": %b%b}' % (b"[" * 500_000, b"]" * 500_000)
        await self._many(b"POST /api/generate HTTP/1.1\r\n" + JSON, body, 20)

    async def many_values(self) -> None:
        body = b'{"script": "x", "a": [%b1]}' % (b"{}," * 300_000)
        await self._many(b"POST /api/generate HTTP/1.1\r\n" + JSON, body, 20)

    async def huge_number(self) -> None:
        body = b'{"script": "x", "seed": %b}' % (b"9" * 1_000_000)
        await self._many(b"POST /api/generate HTTP/1.1\r\n" + JSON, body, 20)

    async def largest_bodies(self) -> None:
        async with self._client() as http:
            await asyncio.gather(*(self._generate(http) for _ in range(100)))

    async def uploads(self) -> None:
        content = b"\x89PNG\r\n\x1a\n" + os.urandom(24 * MIB - 1000)
        image = "data:image/png;base64," + base64.b64encode(content).decode()
        body = json.dumps({"script": "x", "image": image}).encode()

        async def one(http: aiohttp.ClientSession) -> None:
            headers = {"Content-Type": "application/json"}
            url = f"{self._url}/api/generate"
            async with http.post(url, data=io.BytesIO(body), headers=headers) as answer:
                assert answer.status in {200, 408, 503}, await answer.text()

        async with self._client() as http:
            await asyncio.gather(*(one(http) for _ in range(UPLOADS)))
        await asyncio.sleep(UPLOAD_SECONDS)

    async def dripping_bodies(self) -> None:
        head = b"POST /api/generate HTTP/1.1\r\n" + JSON
        half = iter([b"x" * (MIB // 2)])
        length = f"Content-Length: {MIB}\r\n\r\n".encode()

        async def one(piece: bytes) -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.suppress(ConnectionError):
                writer.write(head + length + piece)
                await asyncio.sleep(5)
            writer.close()

        piece = next(half)
        await asyncio.gather(*(one(piece) for _ in range(100)))

    async def lists(self) -> None:
        async def one(http: aiohttp.ClientSession) -> None:
            async with http.get(f"{self._url}/api/jobs?limit=500") as answer:
                await answer.read()

        async with self._client() as http:
            for _ in range(5):
                await asyncio.gather(*(one(http) for _ in range(8)))
