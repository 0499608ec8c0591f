"""Creates by clients that repeat them, the official `openai` and `ai`, through a lossy proxy.

    python -m bench.retries [--calls 500] [--at-once 8] [--seed 1]

Two processes on PostgreSQL stand behind a proxy that swallows 30 % of the responses and refuses 5 %
of the requests unread. One process is stopped and one is killed, and both start again. Each call
must be paid for once, whatever was lost. `ai` needs Node.js and `npm ci --prefix tests/peers`.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

import aiohttp
import asyncpg
from openai import AsyncOpenAI, OpenAIError

from bench.databases import PostgresServer
from bench.figures import Figures
from bench.lossy_http import LossyHttp
from bench.processes import Server, Stub
from bench.stage import RESULTS

RETRIES_MAX = 10
UPSTREAM_MS = 50
POLL_SECONDS = 0.5
STALL_SECONDS = 3.0
STALLED_CALLS = 20
SETTLE_SECONDS_MAX = 60.0
DISTINCT_MIN_SHARE = 0.99
AI_TIMES = 4
PEERS = Path(__file__).parents[1] / "tests" / "peers"


class Calls(Protocol):
    """Calls of one scenario: how many there will be, and how many have ended."""

    wanted: int

    @property
    def ended(self) -> int: ...


@dataclass(slots=True)
class Clients:
    """Calls of one scenario, and the ids that they got. `wanted` is their number."""

    client: AsyncOpenAI
    wanted: int
    ids: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def create(self, prompt: str, *, polls: bool = False) -> None:
        """Create a video, and wait for its end if the client `polls`."""
        videos = self.client.videos
        create = videos.create_and_poll if polls else videos.create
        try:
            video = await create(prompt=prompt, model="sora-2", seconds="4")
        except OpenAIError as error:
            self.errors.append(f"{prompt}: {error!r}")
        else:
            self.ids.append(video.id)

    @property
    def ended(self) -> int:
        return len(self.ids) + len(self.errors)


@dataclass(slots=True)
class AiCalls:
    """Calls of `ai` for Node.js with `poll: {}`, in a process of their own."""

    wanted: int
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> int:
        return len(self.results)

    def make(self, url: str, at_once: int) -> None:
        """Make the calls; return when all have ended."""
        command = ["node", "vercel_retries.mjs", f"{url}/v4/ai", "any"]
        with subprocess.Popen(
            [*command, str(self.wanted), str(at_once)], cwd=PEERS, stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            self.results.extend(json.loads(line) for line in client.stdout)


@dataclass(slots=True)
class Installation:
    """Two servers on one database, the provider, and the proxy."""

    database: str
    upstream: Stub
    servers: list[Server]
    proxy: LossyHttp

    def client(self, *, timeout: float = 600) -> AsyncOpenAI:
        return AsyncOpenAI(
            api_key="any",
            base_url=f"{self.proxy.url}/v1",
            max_retries=RETRIES_MAX,
            timeout=timeout,
        )

    async def videos(self) -> int:
        """Wait until the provider has a video of each job; return the number of its videos."""
        database = await asyncpg.connect(self.database)
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                while await database.fetchval(  # noqa: ASYNC110 - other processes write it
                    "SELECT count(*) FROM jobs WHERE status IN ('accepted', 'submitting')"
                ):
                    await asyncio.sleep(0.1)
        finally:
            await database.close()
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.upstream.url}/control/state") as response,
        ):
            return int((await response.json())["videos"])

    async def restart_each(self, clients: Calls) -> None:
        """Stop one server after a third of the calls, and kill the other after two thirds."""
        first, second = self.servers
        await _until(lambda: clients.ended * 3 > clients.wanted)
        await first.stop()
        await first.start()
        await _until(lambda: clients.ended * 3 > 2 * clients.wanted)
        second.kill()
        await second.start()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - calls end in many places
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def installed(folder: Path, database: str, random: Random) -> AsyncIterator[Installation]:
    upstream = Stub("bench.upstream")
    environment = {
        "DATABASE_URL": database,
        "OPENAI_BASE_URL": f"{upstream.url}/v1",
        "OPENAI_API_KEY": "any",
        "REELHOOK_POLL_SECONDS": str(POLL_SECONDS),
    }
    servers = [Server(folder / f"server_{number}", environment) for number in range(2)]
    proxy = LossyHttp([server.url for server in servers], random)
    try:
        async with aiohttp.ClientSession() as session:
            settings = {"latency_ms": UPSTREAM_MS, "finish_after_seconds": 0.2}
            await session.post(f"{upstream.url}/control/settings", json=settings)
        for server in servers:
            await server.start()
        async with proxy.running():
            yield Installation(database, upstream, servers, proxy)
    finally:
        for server in servers:
            server.close()
        upstream.close()


async def _spread(calls: list[Callable[[], Awaitable[None]]], at_once: int) -> None:
    left = iter(calls)

    async def one_after_the_other() -> None:
        for call in left:
            await call()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))


async def lossy(
    at: Installation, figures: Figures, name: str, prompts: list[str], at_once: int, *, polls: bool
) -> tuple[int, Clients]:
    """Make these calls while both servers restart; return the number of videos."""
    before = await at.videos()
    async with at.client() as client:
        clients = Clients(client, len(prompts))
        restarting = asyncio.create_task(at.restart_each(clients))
        calls = [partial(clients.create, prompt, polls=polls) for prompt in prompts]
        await _spread([*calls], at_once)
        await restarting
    figures.none(f"{name}: calls that failed", clients.errors)
    return await at.videos() - before, clients


async def polled_by_ai(at: Installation, figures: Figures, count: int, at_once: int) -> None:
    """Make calls by `ai` while both servers restart."""
    if shutil.which("node") is None or not (PEERS / "node_modules" / "ai").exists():
        figures.tell("ai, polling", "not measured: it needs node and npm ci --prefix tests/peers")
        return
    before, calls = await at.videos(), AiCalls(count)
    restarting = asyncio.create_task(at.restart_each(calls))
    await asyncio.to_thread(calls.make, at.proxy.url, AI_TIMES * at_once)  # they mostly wait
    restarting.cancel() if calls.ended < count else await restarting
    figures.none(
        "ai, polling: calls that failed", [c["error"] for c in calls.results if "error" in c]
    )
    figures.equal("ai, polling: videos", await at.videos() - before, count)
    figures.equal("ai, polling: distinct ids", len({c.get("job") for c in calls.results}), count)


async def stalled(at: Installation, figures: Figures) -> None:
    """Call with a time-out of 1 s while both servers stand still for 3 s."""
    before = await at.videos()
    at.proxy.refused = at.proxy.swallowed = 0.0
    async with at.client(timeout=1) as client:
        clients = Clients(client, STALLED_CALLS)
        for server in at.servers:
            server.pause()
        calls = [asyncio.create_task(clients.create(f"stalled {n}")) for n in range(STALLED_CALLS)]
        await asyncio.sleep(STALL_SECONDS)
        for server in at.servers:
            server.resume()
        await asyncio.gather(*calls)
    figures.none("stalled: calls that failed", clients.errors)
    figures.equal("stalled: videos", await at.videos() - before, STALLED_CALLS)
    figures.equal("stalled: distinct ids", len(set(clients.ids)), STALLED_CALLS)


async def measure(options: argparse.Namespace, folder: Path, database: str) -> Figures:
    figures = Figures("retries")
    count, at_once = options.calls, options.at_once

    def half_equal(name: str) -> list[str]:
        return [f"{name} {n}" if n % 2 else f"{name}: equal" for n in range(count)]

    async with installed(folder, database, Random(options.seed)) as at:  # noqa: S311 - no keys
        distinct = [f"distinct {n}" for n in range(count)]
        videos, calls = await lossy(at, figures, "distinct", distinct, at_once, polls=False)
        figures.equal("distinct: videos", videos, count)
        figures.equal("distinct: distinct ids", len(set(calls.ids)), count)
        polling = half_equal("polling")
        videos, calls = await lossy(
            at, figures, "half equal, polling", polling, at_once, polls=True
        )
        figures.equal("half equal, polling: videos", videos, count)
        figures.at_least(
            "half equal, polling: distinct ids", len(set(calls.ids)), DISTINCT_MIN_SHARE * count
        )
        hooks = half_equal("webhooks")
        videos, calls = await lossy(
            at, figures, "half equal, webhooks", hooks, at_once, polls=False
        )
        figures.at_most("half equal, webhooks only: videos", videos, count)
        shared = len(calls.ids) - len(set(calls.ids))
        figures.tell("half equal, webhooks only: shared ids", shared)
        await polled_by_ai(at, figures, count, at_once)
        await stalled(at, figures)
        figures.tell("requests at the proxy", dict(at.proxy.fates))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="of each scenario")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1, help="of what the proxy loses")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as postgres:
        figures = asyncio.run(measure(options, Path(folder), postgres.url))
    figures.show()
    figures.write(RESULTS)
    return 0 if figures.reached else 1


if __name__ == "__main__":
    sys.exit(main())
