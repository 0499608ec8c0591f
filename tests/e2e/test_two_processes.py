"""`reelhook serve --no-worker` and `reelhook worker` on one PostgreSQL, as a user starts them."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bench import stage as stages
from bench.databases import PostgresServer
from bench.processes import REELHOOK
from bench.stage import Stage, until
from bench.worker_processes import Workers

from reelhook.storage.schema import migrate

pytestmark = pytest.mark.long

QUIET_SECONDS = 1.5
"""Seven rounds, and longer than a process that is told nothing needs to look."""


@dataclass
class Two:
    here: Stage
    workers: Workers

    async def stats(self) -> Any:
        return await self.here.get(f"{self.here.server.url}/api/stats")

    async def reads(self) -> int:
        log = (await self.here.upstream_state())["log"]
        return sum(one["kind"] in {"get", "list"} for one in log)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(REELHOOK), *arguments],
            env=self.workers.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
async def two(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Two]:
    monkeypatch.setattr(stages, "RESULTS", tmp_path)
    with PostgresServer() as database:
        environment = {
            "DATABASE_URL": database.url,
            "REELHOOK_POLL_SECONDS": "0.2",
            "REELHOOK_WAKE_UPS": getattr(request, "param", "true"),
        }
        arguments = ("serve", "--no-worker")
        async with stages.stage("two", environment, arguments=arguments) as here:
            workers = Workers(here.folder, {**here.server.environment, **environment})
            try:
                await here.server.start()
                workers.start()
                await workers.ready()
                yield Two(here, workers)
            finally:
                workers.close()


@pytest.mark.parametrize("two", ["true", "false"], ids=["told", "polling"], indirect=True)
async def test_a_pause_reaches_the_worker_and_a_refused_key_the_api(two: Two) -> None:
    here = two.here
    await here.set_upstream(latency_ms=5, finish_after_seconds=1000.0)
    await here.submit(here.request(1, "A fox"))
    assert await until(lambda: _more_than(two, 0), seconds=20)
    pause, resume = (f"{here.server.url}/api/watcher/{way}" for way in ("pause", "resume"))
    await here.post(pause, {})
    assert (await two.stats())["watcher"]["paused"] is True
    assert await until(lambda: _quiet(two), seconds=20)
    before = await two.reads()

    # A worker that starts again obeys the pause too, and says so.
    two.workers.kill(two.workers.running[0])
    two.workers.start()
    await two.workers.ready()
    await asyncio.sleep(QUIET_SECONDS + 4)  # the lease of the one that died runs out
    assert await two.reads() == before
    (log,) = here.folder.glob("worker-1.log")
    assert "The watcher is paused" in log.read_text()
    ready = await here.get(f"{here.server.url}/readyz")
    assert ready == {"status": "ready", "watcher": "paused"}

    await here.post(resume, {})
    assert await until(lambda: _more_than(two, before), seconds=20)

    await here.set_upstream(faults={"*": {"401": 1.0}})
    assert await until(lambda: _refused(two, "Incorrect API key."), seconds=20)
    await here.set_upstream(faults={})
    assert await until(lambda: _refused(two, None), seconds=20)


async def test_nothing_is_rolled_back_under_a_worker_that_lives(two: Two) -> None:
    refused = await asyncio.to_thread(two.command, "rollback")
    assert refused.returncode == 1
    assert "stop them before rolling back" in " ".join(refused.stderr.split())
    assert (await two.stats())["watcher"]["paused"] is False  # the newest revision is still there
    await two.workers.stop(two.workers.running[0])
    await two.here.server.stop()
    gone = await asyncio.to_thread(two.command, "rollback")
    assert (gone.returncode, gone.stdout) == (0, f"Rolled back {migrate.revisions()[-1]}.\n")


async def _more_than(two: Two, number: int) -> bool:
    return await two.reads() > number


async def _refused(two: Two, words: str | None) -> bool:
    (account,) = (await two.stats())["accounts"]
    return (account["healthy"], account["error"]) == (words is None, words)


async def _quiet(two: Two) -> bool:
    before = await two.reads()
    await asyncio.sleep(QUIET_SECONDS)
    return await two.reads() == before
