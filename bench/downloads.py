"""Downloads of archived files next to Starlette's `FileResponse`: `python -m bench.downloads`.

Both serve the same file from one process, with uvloop and httptools. The same clients download it
from each in turns: whole, and in random ranges of 4 MiB. The medians of the pairs' ratios count. In
reelhook's process a task wakes every 5 ms. Exits 1 unless reelhook reaches 0.9 times the
throughput, and its loop uses less than 50 ms of CPU between two wake-ups. How late a wake-up was is
shown too; on a machine with other work that is mostly the wait for a processor.
"""

import argparse
import asyncio
import gc
import hashlib
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from bench.figures import Figures
from bench.processes import Stub
from bench.stage import RESULTS
from reelhook import bootstrap
from reelhook.bootstrap.running import GC_ALLOCATIONS
from reelhook.config import Settings
from reelhook.doors.compat.functions import Hook
from reelhook.objects.store import ObstoreObjects
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

RATIO_MIN = 0.9
STALL_MILLISECONDS_MAX = 50.0
FILE_MIB = 64
RANGE_BYTES = 4 * 2**20
TICK_SECONDS = 0.005
PATH = "/api/sora/videos/{}/download"
MODES = tuple(itertools.product(("whole", "ranges"), (1, 8)))


# -- the servers, each in a process of its own ----------------------------------------------------


async def serve_reelhook(folder: Path) -> None:
    """Serve a finished job whose file is archived; report the latest wake-up at the end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with running(Faults(queue_seconds=0, render_seconds=0)) as upstream:
        settings = Settings.of(
            data_dir=folder / "data",
            port=0,
            archive_url="off",
            webhook_secret="secret of the benchmark",
            poll_seconds=0.1,
            openai_base_url=upstream.base_url,
        )
        async with bootstrap.server(settings) as server:
            job_id = await archived_job(server.hook, folder)
            path = PATH.format(job_id)
            async with (  # the first request of a process prepares the routes
                aiohttp.ClientSession() as session,
                session.get(server.url + path) as response,
            ):
                await response.read()
            gc.collect()
            gc.freeze()  # as `serve` does, which also collects less often
            gc.set_threshold(GC_ALLOCATIONS, 20, 20)
            ended = stopping()
            announce(folder, "reelhook", urlsplit(server.url).port, path)
            await wake_until(ended, folder)


def announce(folder: Path, kind: str, port: int | None, path: str) -> None:
    """Say where the file is."""
    (folder / f"{kind}.path").write_text(path)
    print(json.dumps({"ports": [port]}), flush=True)


async def archived_job(hook: Hook, folder: Path) -> str:
    """Return a job whose file is the one of the measurement, as the archive stores it."""
    job_id = await hook.submit("A fox", model="openai/sora-2", seconds="1", size="64x64")
    contents: Any = hook.gateway.content
    while True:
        file = await contents._store.archived_file(job_id)
        if file is not None:
            break
        await asyncio.sleep(0.05)
    contents._objects = ObstoreObjects(folder.as_uri())
    video = folder / "video.mp4"
    digest = hashlib.sha256(video.read_bytes()).hexdigest()
    stored = file.stored(
        "video.mp4", video.stat().st_size, digest, "video/mp4", round(time.time() * 1000)
    )
    assert await contents._store.record_file(stored)
    return job_id


async def wake_until(ended: asyncio.Event, folder: Path) -> None:
    """Wake every 5 ms; write by how much that was late at most, and the CPU time meanwhile."""
    late = busy = 0.0
    while not ended.is_set():
        due, used = time.monotonic() + TICK_SECONDS, time.thread_time()
        await asyncio.sleep(TICK_SECONDS)
        late = max(late, time.monotonic() - due)
        busy = max(busy, time.thread_time() - used)
    (folder / "reelhook.late").write_text(json.dumps([late, busy]))


async def serve_file_response(folder: Path) -> None:
    """Serve the same file by `FileResponse`."""
    video = folder / "video.mp4"

    async def download(_: Request) -> FileResponse:
        return FileResponse(video, media_type="video/mp4")

    app = Starlette(routes=[Route("/video", download)])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    announce(folder, "FileResponse", listener.getsockname()[1], "/video")
    config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve([listener])


def stopping() -> asyncio.Event:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    return ended


# -- the clients ----------------------------------------------------------------------------------


class Client:
    """A connection that downloads a file again and again."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.settimeout(60)
        self._path = path
        self._buffer = bytearray(2**20)

    def download(self, byte_range: tuple[int, int] | None) -> int:
        """Return the number of bytes of the file, or of the range."""
        asked = "" if byte_range is None else "Range: bytes={}-{}\r\n".format(*byte_range)
        self._socket.sendall(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{asked}\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(4096)
        lines, _, body = head.partition(b"\r\n\r\n")
        assert lines.startswith(b"HTTP/1.1 20"), lines
        [length] = [
            int(line.partition(b":")[2])
            for line in lines.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        assert byte_range is None or length == byte_range[1] - byte_range[0] + 1
        received = len(body)
        while received < length:
            received += (count := self._socket.recv_into(self._buffer))
            assert count, "the download broke off"
        return length

    def close(self) -> None:
        self._socket.close()


def throughput(port: int, path: str, mode: str, clients: int, seconds: float) -> float:
    """Return the MiB that all clients together receive in a second."""
    ends = time.monotonic() + seconds
    totals = [0] * clients

    def run(number: int) -> None:
        client, chance = Client(port, path), Random(number)  # noqa: S311 - it makes no keys
        while time.monotonic() < ends:
            start = chance.randrange(FILE_MIB * 2**20 - RANGE_BYTES)
            asked = None if mode == "whole" else (start, start + RANGE_BYTES - 1)
            totals[number] += client.download(asked)
        client.close()

    begun = time.monotonic()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(totals) / 2**20 / (time.monotonic() - begun)


# -- the measurement ------------------------------------------------------------------------------


@contextmanager
def served(kind: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Run a server until the block ends; yield its port, and the path of the file."""
    stub = Stub("bench.downloads", "--serve", kind, "--folder", str(folder))
    try:
        yield stub.ports[0], (folder / f"{kind}.path").read_text()
    finally:
        stub.close()


def measure(seconds: float, pairs: int) -> Figures:
    figures = Figures("downloads")
    folder = RESULTS / "downloads"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(os.urandom(2**20) * FILE_MIB)
    with served("reelhook", folder) as ours, served("FileResponse", folder) as theirs:
        for mode, clients in MODES:
            rates = []
            for number in range(pairs + 1):  # the first pair warms up
                turn = [
                    throughput(*one, mode, clients, seconds)
                    for one in (ours, theirs)[:: -1 if number % 2 else 1]
                ]
                rates.append(turn[:: -1 if number % 2 else 1])
            name = f"{mode}, {clients} client{'s' if clients > 1 else ''}"
            ratio = statistics.median(one / other for one, other in rates[1:])
            figures.at_least(name, ratio, RATIO_MIN)
            mine, other = (statistics.median(side) for side in zip(*rates[1:], strict=True))
            figures.tell(f"{name}: reelhook, FileResponse", f"{mine:.0f}, {other:.0f} MiB/s")
            figures.values[name] = ratio
    late, busy = (1000 * one for one in json.loads((folder / "reelhook.late").read_text()))
    figures.tell("latest wake-up, by other processes too", f"{late:.1f} ms")
    figures.at_most("CPU time between two wake-ups", busy, STALL_MILLISECONDS_MAX, " ms")
    figures.values |= {"latest wake-up": late, "CPU between wake-ups": busy}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of turns of each kind")
    parser.add_argument("--serve", choices=("reelhook", "FileResponse"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve = serve_reelhook if asked.serve == "reelhook" else serve_file_response
        uvloop.run(serve(asked.folder))
        return
    figures = measure(asked.seconds, asked.pairs)
    figures.show()
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


if __name__ == "__main__":
    main()
