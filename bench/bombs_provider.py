"""What a provider's oversized and hostile responses cost the server, and its other clients.

The provider answers 64 jobs' reads, pages of its listing, and creates with each kind of response
in turn. Meanwhile another client asks for one job every 20 ms.

    .venv/bin/python -m bench.bombs_provider
"""

import argparse
import asyncio
import contextlib
import gzip
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.figures import Figures
from bench.processes import Server, Stub
from bench.serving import json_response, serve
from bench.stage import RESULTS

MIB = 2**20
JOBS = 64
SECONDS = 6.0
GROWTH_MIB_MAX = 64
WAIT_MILLISECONDS_MAX = 200
PIECE = 64 * 1024
_HEAD = b'{"id":"video_1","object":"video","status":"queued","data":[{"id":"video_1"}],"x":'


@dataclass(frozen=True, slots=True)
class Bomb:
    """A response: its beginning, what is repeated until it has so many bytes, and its end."""

    repeated: bytes
    size: int = 60 * MIB
    head: bytes = _HEAD + b"["
    end: bytes = b"0]}"
    packed: bool = False

    def whole(self) -> bytes:
        return self.head + self.repeated * (self.size // len(self.repeated)) + self.end


_TEXT = _HEAD + b'"'
_END = b'"}'
BOMBS: Mapping[str, Bomb] = {
    "empty lists, packed to 60 KB": Bomb(b"[],", packed=True),
    "text, packed": Bomb(b"x" * 1024, head=_TEXT, end=_END, packed=True),
    "empty lists": Bomb(b"[],"),
    "objects": Bomb(b'{"a":[{}]},'),
    "text": Bomb(b"x" * 1024, head=_TEXT, end=_END),
    "escaped text": Bomb(rb"\ud83d\ude00" * 100, head=_TEXT, end=_END),
    "wide text just below the limit": Bomb(
        b"x" * 1024, 4 * MIB - PIECE, _TEXT + "🦊".encode(), _END
    ),
    "objects just below the limits": Bomb(b'{"k":{}},', 12_000 * 9),
    "lists just below the limits": Bomb(b"[],", 24_000 * 3),
    "numbers of 4,000 digits": Bomb(b"7" * 4000 + b",", 4 * MIB - PIECE),
    "one number": Bomb(b"7" * 1024, 4 * MIB - PIECE, _HEAD, b"}"),
    "brackets": Bomb(b"[" * 1024, head=_HEAD, end=b""),
    "images": Bomb(b'"data:image/png;base64,' + b"QUJD" * 100_000 + b'",'),
    "a web page": Bomb(b"<p>Please wait.</p>\n", head=b"<html>", end=b"</html>"),
}


# -- the provider ---------------------------------------------------------------------------------


class Provider:
    """Answers as it is told to at `/bomb/{kind}`; kind `none`: as a provider does."""

    def __init__(self) -> None:
        self._bomb: Bomb | None = None
        self._body = b""
        self._created = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/bomb/{kind}", self._tell),
                web.post("/v1/videos", self._create),
                web.get("/v1/videos", self._list),
                web.get("/v1/videos/{id}", self._get),
            ]
        )
        return app

    async def _tell(self, request: web.Request) -> web.Response:
        self._bomb = BOMBS.get(request.match_info["kind"])
        if self._bomb is not None:
            whole = self._bomb.whole()
            self._body = gzip.compress(whole, 6) if self._bomb.packed else whole
        return web.Response()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._created += 1
        return await self._answer(request, f"video_{self._created}")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, request.match_info["id"])

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if self._bomb is None:
            return json_response({"error": {"message": "no listing yet"}}, status=500)
        return await self._answer(request, "")

    async def _answer(self, request: web.Request, one: str) -> web.StreamResponse:
        if self._bomb is None:
            return json_response({"id": one, "object": "video", "status": "in_progress"})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if self._bomb.packed:
            response.headers["Content-Encoding"] = "gzip"
        response.content_length = len(self._body)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # nobody reads so much
            for start in range(0, len(self._body), PIECE):
                await response.write(self._body[start : start + PIECE])
        return response


# -- what it costs --------------------------------------------------------------------------------


class Probe:
    """Another client: asks for one job again and again, and watches the server's memory."""

    def __init__(self, server: Server, job_id: str) -> None:
        self._server = server
        self._job_id = job_id
        self.slowest = 0.0
        self.peak = 0.0

    async def watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < end:
                started = time.monotonic()
                async with http.get(f"{self._server.url}/api/jobs/{self._job_id}") as answer:
                    await answer.read()
                    assert answer.status == 200
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.peak = max(self.peak, self._server.rss_mib())
                await asyncio.sleep(0.02)


async def measure(figures: Figures, chosen: Callable[[str], bool]) -> None:
    stub = Stub("bench.bombs_provider", "--stub")
    try:
        for kind in filter(chosen, BOMBS):
            with tempfile.TemporaryDirectory() as folder:
                await _one(figures, kind, stub, Path(folder))
    finally:
        stub.close()


async def _one(figures: Figures, kind: str, stub: Stub, folder: Path) -> None:
    settings = {"OPENAI_BASE_URL": f"{stub.url}/v1", "REELHOOK_POLL_SECONDS": "0.5"}
    server = Server(folder, settings)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:

        async def call(url: str, **body: object) -> dict[str, str]:
            async with http.post(url, json=body) as answer:
                assert answer.status == 200, await answer.text()
                return dict(await answer.json()) if "/api/" in url else {}

        try:
            await call(f"{stub.url}/bomb/none")
            await server.start()
            jobs = [
                (await call(f"{server.url}/api/generate", script=f"video {number}"))["jobId"]
                for number in range(JOBS)
            ]
            probe = Probe(server, jobs[0])
            await probe.watch(2)
            before, calm = probe.peak, probe.slowest
            await call(f"{stub.url}/bomb/{kind}")
            probe = Probe(server, jobs[0])
            watching = asyncio.create_task(probe.watch(SECONDS))
            await asyncio.sleep(SECONDS / 2)
            async with http.get(f"{server.url}/api/stats") as answer:
                counts = (await answer.json())["jobs"]
            await asyncio.gather(
                *(
                    call(f"{server.url}/api/generate", script=f"more {number}")
                    for number in range(JOBS)
                )
            )
            await watching
            figures.at_most(f"{kind}: growth", probe.peak - before, GROWTH_MIB_MAX, " MiB")
            slowest = 1000 * probe.slowest
            figures.at_most(f"{kind}: slowest request", slowest, WAIT_MILLISECONDS_MAX, " ms")
            figures.values[f"{kind}: slowest before (ms)"] = 1000 * calm
            figures.equal(f"{kind}: jobs ended", counts["failed"] + counts["completed"], 0)
        finally:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stub", action="store_true", help="be the provider")
    parser.add_argument("--only", default="", help="only the kinds that have this in their name")
    options = parser.parse_args()
    if options.stub:
        serve(Provider().app(), [0])
        return
    figures = Figures("bombs_provider")
    asyncio.run(measure(figures, lambda kind: options.only in kind))
    figures.show()
    figures.write(RESULTS)
    sys.exit(not figures.reached)


if __name__ == "__main__":
    main()
