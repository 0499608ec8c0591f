"""The CPU time of a server with 50 open dashboards: while nothing changes, and at 100 changes a
second, each time less what the same server takes without them.

python -m bench.dashboards [--dashboards 50] [--jobs 500] [--seconds 20]
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from bench.stage import Stage, stage, until

IDLE_WANTED, BUSY_WANTED = 0.05, 0.30
CHANGES_A_SECOND = 100
PAGES = ("/", "/", "/", "/", "/jobs", "/jobs", "/jobs?q=status%3Aprocessing", "/webhooks", "/{job}")
HTML = {"Accept": "text/html"}
SETTINGS = {
    "REELHOOK_POLL_SECONDS": "1",
    "REELHOOK_STREAMS_MAX": "500",
    "REELHOOK_ARCHIVE_URL": "off",
}


class Dashboards:
    """Open pages: each reads its stream, as a browser does."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.bytes = 0
        self.updates = 0

    @asynccontextmanager
    async def open(self, count: int, jobs: Sequence[str]) -> AsyncIterator[None]:
        """Open so many pages until the block ends."""
        paths = [PAGES[number % len(PAGES)] for number in range(count)]
        paths = [path.format(job=f"jobs/{jobs[0]}" if jobs else "costs") for path in paths]
        tasks = [asyncio.create_task(self._follow(path)) for path in paths]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, path: str) -> None:
        live = f"{self._url}{path}{'&' if '?' in path else '?'}live=stream"
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(live, headers=HTML, timeout=timeout) as response:
            assert response.status == 200, (path, response.status)
            async for chunk in response.content.iter_any():
                self.bytes += len(chunk)
                self.updates += chunk.startswith(b"data:")


async def cpu(here: Stage, seconds: float) -> float:
    """Return the share of a core that the server takes."""
    before = here.server.cpu_seconds()
    await asyncio.sleep(seconds)
    return (here.server.cpu_seconds() - before) / seconds


async def progress(here: Stage) -> int:
    """Return the sum of the jobs' percentages: each change is one more."""
    return sum(int(job["progress"]) for job in await here.jobs("processing"))


async def measure(count: int, jobs: int, seconds: float) -> dict[str, float]:
    """Return the shares of a core, and the changes a second."""
    found: dict[str, float] = {}
    async with (
        stage("dashboards", SETTINGS) as here,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        await here.server.start()
        pages = Dashboards(session, here.server.url)
        found["idle, none open"] = await cpu(here, seconds)
        async with pages.open(count, []):
            await asyncio.sleep(3)
            found["idle"] = await cpu(here, seconds)
        await here.set_upstream(progress_seconds=jobs / CHANGES_A_SECOND)
        bodies = [{"script": f"A fox {number}"} for number in range(jobs)]
        made = [await here.post(f"{here.server.url}/api/generate", body) for body in bodies]

        async def all_run() -> bool:
            return len(await here.jobs("processing")) == jobs

        assert await until(all_run, seconds=60)
        before = await progress(here)
        found["busy, none open"] = await cpu(here, seconds)
        found["changes a second"] = (await progress(here) - before) / seconds
        async with pages.open(count, [str(one["jobId"]) for one in made]):
            await asyncio.sleep(3)
            pages.bytes = pages.updates = 0
            found["busy"] = await cpu(here, seconds)
            found["updates a second"] = pages.updates / seconds
            found["kB a second"] = pages.bytes / seconds / 1000
    return found


def main() -> int:
    """Print the shares; return 1 if the dashboards took more than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboards", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    found = asyncio.run(measure(options.dashboards, options.jobs, options.seconds))
    for name, value in found.items():
        print(f"{name:20}{value:10.3f}")
    idle = found["idle"] - found["idle, none open"]
    busy = found["busy"] - found["busy, none open"]
    print(f"{options.dashboards} dashboards: {idle:.1%} of a core idle, {busy:.1%} busy")
    return int(idle > IDLE_WANTED or busy > BUSY_WANTED)


if __name__ == "__main__":
    sys.exit(main())
