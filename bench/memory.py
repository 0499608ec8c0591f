"""What the processes of an installation hold: `python -m bench.memory`, or `make bench-memory`.

`serve` alone on SQLite, then `serve --no-worker` and a `worker` on PostgreSQL: at rest, with 1,000
jobs, and with jobs that bring an image of the largest size. The limits in deploy/ go by the peaks.
"""

import asyncio
import base64
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.clusters import cluster
from bench.figures import Figures
from bench.stage import RESULTS, SUBMITS_AT_ONCE, Stage, stage
from bench.worker_processes import Workers

JOBS = 1_000
IMAGES = 400
IMAGE_CHARACTERS = 900_000
"""The most that `image` may have, docs/api.md."""
REST_SECONDS = 3
LIMIT_MIB = 1024
"""The memory limit of every process in deploy/."""
SHARE_MAX = 0.7
"""Of the limit, for the peaks: the rest is for what clients, providers and receivers may add."""


def image(number: int) -> str:
    """Return an image of the largest size; no two are equal."""
    head = "data:image/png;base64,"
    size = (IMAGE_CHARACTERS - len(head)) // 4 * 3
    content = b"\x89PNG\r\n\x1a\n" + number.to_bytes(4, "big") * (size // 4)
    return head + base64.b64encode(content[:size]).decode()


def peak_mib(pid: int) -> float:
    """Return the most that a process has held, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory")


def resident_mib(pid: int) -> float:
    """Return what a process holds now, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


async def load(here: Stage, figures: Figures, pids: dict[str, int]) -> None:
    """Take the figures at rest and after each load."""

    def tell(when: str, read: Callable[[int], float]) -> None:
        for role, pid in pids.items():
            figures.values[f"{role} {when}"] = read(pid)
            figures.tell(f"{role}: {when}", f"{read(pid):.0f} MiB")

    await asyncio.sleep(REST_SECONDS)
    tell("at rest", resident_mib)
    await here.set_upstream(latency_ms=150, finish_after_seconds=20.0)
    await finished(here, JOBS, lambda _: {})
    tell(f"peak with {JOBS} jobs", peak_mib)
    # A provider that takes seconds for a create holds as many images in flight as there may be.
    await here.set_upstream(latency_ms=4000, finish_after_seconds=60.0)
    await finished(here, IMAGES, lambda number: {"image": image(number)})
    tell(f"peak with {IMAGES} images", peak_mib)
    for _ in range(10):
        await here.jobs()
    tell("peak after reading lists", peak_mib)
    for role, pid in pids.items():
        figures.at_most(f"{role}: peak", peak_mib(pid), SHARE_MAX * LIMIT_MIB, " MiB")


async def finished(here: Stage, count: int, more: Callable[[int], dict[str, str]]) -> None:
    """Submit so many jobs, 32 at once, and wait until each has ended."""
    ear, gate = here.ear(len(await here.arrivals())), asyncio.Semaphore(SUBMITS_AT_ONCE)

    async def submit(number: int) -> None:
        hook = f"{here.receivers.url}/hook/{number}"
        async with gate:
            content = {"script": f"job {number}", "webhookUrl": hook, **more(number)}
            await here.post(f"{here.server.url}/api/generate", content)

    await asyncio.gather(*(submit(number) for number in range(count)))
    if not await ear.ended(count, seconds=400):
        raise RuntimeError(f"{len(ear.heard)} of {count} jobs ended")


async def alone(figures: Figures) -> None:
    """Run one process on SQLite."""
    async with stage("memory-serve", {}) as here:
        await here.server.start()
        await load(here, figures, {"serve": here.server.pid})


async def apart(figures: Figures) -> None:
    """Run the API and a worker on PostgreSQL."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(cluster())
        environment = {"DATABASE_URL": database.url}
        arguments = ("serve", "--no-worker")
        here = await stack.enter_async_context(
            stage("memory-apart", environment, arguments=arguments)
        )
        workers = Workers(here.folder, {**here.server.environment, **environment})
        stack.callback(workers.close)
        await here.server.start()
        life = workers.start()
        await workers.ready()
        await load(here, figures, {"api": here.server.pid, "worker": life.process.pid})


def main() -> None:
    """Measure; exit 1 where a peak is too near to the limit."""
    figures = Figures("memory")
    asyncio.run(alone(figures))
    asyncio.run(apart(figures))
    figures.show()
    figures.write(RESULTS)
    sys.exit(not figures.reached)


if __name__ == "__main__":
    main()
