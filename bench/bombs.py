"""What one client, mostly without a key, can do to a server: memory, and the others' waits.

    python -m bench.bombs              # all of it; or the names of some acts

Each act throws one kind of bomb at a `serve` of its own, while another client asks for jobs 50
times a second. `streams` measures what 1,000 idle live streams cost while 30 jobs a second change.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from bench.bombs_throwing import KEY, Thrower
from bench.figures import Figures
from bench.processes import ROOT, Server, Stub
from bench.stage import RESULTS

MEMORY_MIB_MAX = 64
UPLOADS = "20 images of 24 MiB at once"
UPLOADS_MEMORY_MIB_MAX = 384
"""One upload in its several forms, and one job that is being submitted."""
ANSWER_MILLISECONDS_MAX = 200
STREAMS = 1000
STREAMS_CORE_MAX = 0.1
CHANGES_A_SECOND = 30
STREAM_SECONDS = 10.0
AFTERWARDS_SECONDS = 1.0
"""How long what a bomb set off is watched: many are over in a moment."""
Act = Callable[[Thrower], Awaitable[object]]

# What providers throw, such as huge responses, is in `bench.bombs_provider`.
ACTS: dict[str, Act] = {
    "nothing, for comparison": Thrower.nothing,
    "headers without an end": Thrower.endless_headers,
    "a header without an end": Thrower.endless_header,
    "1,000 unfinished heads": Thrower.unfinished_heads,
    "a URL without an end": Thrower.endless_url,
    "requests sent ahead": Thrower.pipelined,
    "a chunk's extension without an end": Thrower.endless_extension,
    "JSON: 500,000 levels": Thrower.deep_json,
    "JSON: 300,000 values, 20 times at once": Thrower.many_values,
    "JSON: a number of 1 MB": Thrower.huge_number,
    "100 of the largest bodies at once": Thrower.largest_bodies,
    "100 bodies that drip": Thrower.dripping_bodies,
    "lists of 400 jobs with images": Thrower.lists,
    UPLOADS: Thrower.uploads,
}


class Probe:
    """The other client, in a process of its own."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bombs_probe", str(port), KEY],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    async def take(self) -> Any:
        """Return how long requests took since this was last asked."""
        assert self._process.stdin is not None
        self._process.stdin.write("take\n")
        self._process.stdin.flush()
        return await asyncio.to_thread(self._read)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.asynccontextmanager
async def serving(folder: Path, **environment: str) -> AsyncIterator[Server]:
    server = Server(folder, {"REELHOOK_API_KEY": KEY, **environment})
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
        server.close()


async def bomb(figures: Figures, name: str, act: Act, folder: Path, upstream: str) -> None:
    async with serving(folder, OPENAI_BASE_URL=f"{upstream}/v1") as server:
        thrower, probe = Thrower(server.port), Probe(server.port)
        try:
            await thrower.prepare(name)
            await asyncio.sleep(1)
            before = server.rss_mib()
            peak = asyncio.create_task(peak_of(server, before))
            await probe.take()
            await act(thrower)
            await asyncio.sleep(AFTERWARDS_SECONDS)
            told = await probe.take()
            peak.cancel()
            highest = await peak
            most = UPLOADS_MEMORY_MIB_MAX if name == UPLOADS else MEMORY_MIB_MAX
            figures.at_most(f"{name}: memory", highest - before, most, " MiB")
            figures.at_most(
                f"{name}: another's request", told["worst_ms"], ANSWER_MILLISECONDS_MAX, " ms"
            )
            if told["failed"]:
                figures.none(f"{name}: another's request failed", told["failed"])
        finally:
            probe.close()


async def peak_of(server: Server, least: float) -> float:
    peak = least
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            peak = max(peak, await asyncio.to_thread(server.rss_mib))
            await asyncio.sleep(0.02)
    return max(peak, server.rss_mib())


async def streams(figures: Figures, folder: Path, upstream: str) -> None:
    async with (
        serving(folder, OPENAI_BASE_URL=f"{upstream}/v1") as server,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=aiohttp.ClientTimeout(total=None),
        ) as http,
    ):
        async with http.post(f"{server.url}/api/generate", json={"script": "quiet"}) as answer:
            quiet = (await answer.json())["jobId"]
        alone = await load(server, http)
        before = server.rss_mib()
        url = f"{server.url}/api/jobs/events?jobIds={quiet}"
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(STREAMS):
                response = await stack.enter_async_context(http.get(url))
                assert response.status == 200
            beside = await load(server, http)
            grown = server.rss_mib() - before
        name = f"{STREAMS} idle streams"
        figures.tell("CPU without streams, of a core", f"{alone:.2f}")
        figures.at_most(f"{name}: CPU, of a core", beside - alone, STREAMS_CORE_MAX)
        figures.at_most(f"{name}: memory", grown, MEMORY_MIB_MAX, " MiB")


async def load(server: Server, http: aiohttp.ClientSession) -> float:
    """Have 30 jobs a second made and changed; return the server's share of a core meanwhile."""
    before, loop = server.cpu_seconds(), asyncio.get_running_loop()
    started = loop.time()
    number = 0
    while loop.time() < started + STREAM_SECONDS:
        number += 1
        url, body = f"{server.url}/api/generate", {"script": f"busy {number}"}
        async with http.post(url, json=body) as answer:
            await answer.read()
        await asyncio.sleep(max(0.0, started + number / CHANGES_A_SECOND - loop.time()))
    return (server.cpu_seconds() - before) / (loop.time() - started)


async def run(names: Iterable[str]) -> bool:
    figures = Figures("bombs")
    upstream = Stub("bench.upstream")
    try:
        with tempfile.TemporaryDirectory(prefix="bombs-") as parent:
            for number, (name, act) in enumerate(ACTS.items()):
                if not names or any(one in name for one in names):
                    await bomb(figures, name, act, Path(parent) / str(number), upstream.url)
            if not names or "streams" in names:
                await streams(figures, Path(parent) / "streams", upstream.url)
    finally:
        upstream.close()
    figures.show()
    figures.write(RESULTS)
    return figures.reached


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run(sys.argv[1:])) else 1)
