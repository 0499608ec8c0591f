"""How many requests a round of watching takes, by provider: `python -m bench.reads`.

The whole program watches pending jobs of one account at the simulator, which counts. Exits 1 when a
provider that can tell of many jobs at once is asked more often than it must be.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random

import reelhook
from bench.figures import Figures
from bench.paying.life import KEYS, MODELS, PATHS, URLS
from bench.stage import RESULTS
from reelhook.doors.compat.functions import Hook
from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

JOBS = 1000
REQUESTS_MAX = {"ark": 5, "replicate": 11, "openai": 11}
ROUNDS = 4
LEARNING_ROUNDS = 2
"""In which the listing teaches its order."""
POLL_SECONDS = 0.5
LOOK_SECONDS = 0.01
SECONDS_MAX = 120.0
PENDING = Faults(queue_seconds=0, render_seconds=24 * 3600)


def settings(provider: str, root_url: str, folder: Path) -> reelhook.Settings:
    fields = {URLS.get(provider, f"{provider}_base_url"): f"{root_url}/{PATHS[provider]}"}
    if provider in KEYS:
        fields[KEYS[provider]] = "bench"
    return reelhook.Settings.of(
        **fields, data_dir=folder, webhook_secret="bench", poll_seconds=POLL_SECONDS
    )


async def rounds(provider: str, jobs: int) -> list[int]:
    """Return how many requests each of some rounds took, once all jobs are at their provider."""
    chance = Random(1)  # noqa: S311  # makes no keys
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running(PENDING, random=chance) as upstream,
            reelhook.open(settings(provider, upstream.root_url, Path(folder))) as hook,
        ):
            async with asyncio.TaskGroup() as tasks:
                for number in range(jobs):
                    tasks.create_task(hook.submit(f"Video {number}", model=MODELS[provider]))
            pending = 0
            while pending < jobs:
                await asyncio.sleep(LOOK_SECONDS)
                pending = await _pending(hook)
            counts = []
            for _ in range(LEARNING_ROUNDS + ROUNDS + 1):
                before = _reads(upstream.simulator)
                await _next_round(hook)
                counts.append(_reads(upstream.simulator) - before)
            return counts[LEARNING_ROUNDS + 1 :]


async def _pending(hook: Hook) -> int:
    counts: dict[str, int] = (await hook.operations.stats())["jobs"]
    return counts.get("queued", 0) + counts.get("processing", 0)


async def _next_round(hook: Hook) -> None:
    last = now = (await hook.operations.stats())["watcher"]["last_round_at"]
    while now == last:
        await asyncio.sleep(LOOK_SECONDS)
        now = (await hook.operations.stats())["watcher"]["last_round_at"]


def _reads(simulator: Simulator) -> int:
    return simulator.requests["list"] + simulator.requests["get"]


async def measure(jobs: int) -> Figures:
    figures = Figures("reads")
    for provider, most in REQUESTS_MAX.items():
        async with asyncio.timeout(SECONDS_MAX):
            counts = await rounds(provider, jobs)
        figures.tell(f"{provider}: requests of each round", counts)
        figures.at_most(f"{provider}: requests a round, {jobs} jobs", max(counts), most)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    figures = asyncio.run(measure(parser.parse_args().jobs))
    figures.show()
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


if __name__ == "__main__":
    main()
