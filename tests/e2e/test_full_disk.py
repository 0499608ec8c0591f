"""The disk fills up while jobs run: no job is created twice, and all go on once there is space."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from bench.clusters import may_mount
from bench.processes import REELHOOK, free_port

from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

pytestmark = pytest.mark.long

JOBS = 10
LINES_MAX = 20
SECONDS_FULL = 12.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if not may_mount():
        pytest.skip("this machine lets nobody mount a disk")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@contextlib.asynccontextmanager
async def served(disk: Path, provider: str, log: Path) -> AsyncIterator[str]:
    port = free_port()
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(str(REELHOOK), "serve", "--port", str(port), "--openai-base-url", provider),
            *("--data-dir", str(disk), "--poll-seconds", "0.5"),
            cwd=log.parent,
            stdout=out,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            assert await process.wait() == 0


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    return filler


async def test_a_disk_that_fills_up_and_is_freed(disk: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with (
        running(Faults(render_seconds=20.0)) as provider,
        served(disk, provider.base_url, log) as url,
        aiohttp.ClientSession(url) as http,
    ):
        await until_ready(http, 200)
        for number in range(JOBS):
            assert (await submit(http, f"A fox {number}")) == 200
        async with asyncio.timeout(30):
            while len(provider.simulator.jobs) < JOBS:  # noqa: ASYNC110 - another process's work
                await asyncio.sleep(0.05)
        before = len(log.read_text().splitlines())
        filler = await asyncio.to_thread(fill, disk)
        await until_ready(http, 503)
        assert (await submit(http, "too much")) == 503
        await asyncio.sleep(SECONDS_FULL)  # what is counted is what a while of it costs
        lines = log.read_text().splitlines()[before:]
        events = Counter(json.loads(line)["event"] for line in lines)
        assert len(lines) <= LINES_MAX, events
        filler.unlink()
        await until_ready(http, 200)
        async with asyncio.timeout(120):
            while (await stats(http))["completed"] < JOBS:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.2)
        assert len(provider.simulator.jobs) == JOBS


async def until_ready(http: aiohttp.ClientSession, status: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get("/readyz") as answer:
                    if answer.status == status:
                        return
            await asyncio.sleep(0.1)


async def submit(http: aiohttp.ClientSession, script: str) -> int:
    async with http.post("/api/generate", json={"script": script}) as answer:
        return answer.status


async def stats(http: aiohttp.ClientSession) -> dict[str, int]:
    async with http.get("/api/stats") as answer:
        counts: dict[str, int] = (await answer.json())["jobs"]
        return counts
