"""Watching many jobs of one account: `python -m bench.watch`, or `make bench-watch`.

`reelhook serve` runs on a database that holds the jobs already, beside an upstream stub in a
process of its own. What a round costs is seen from outside: the stub's log, the process's CPU
time and memory, the database's own counters.
"""

import argparse
import asyncio
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.figures import Figures, quantile
from bench.processes import Server, Stub
from bench.store_databases import KINDS, fresh
from bench.watch_jobs import counters, fill
from reelhook.storage.opening import Target

COUNTS = (1_000, 10_000, 100_000)
POLL_SECONDS = 5.0
LATENCY_MS = 150
PAGE = 100
SETTLE_SECONDS = 12.0
"""Until the first rounds are over, which learn the listing's order."""
WATCH_SECONDS = 30.0
ROUND_SECONDS = {1_000: 5.0, 10_000: 5.0, 100_000: 20.0}
CPU_SECONDS = 2.0
"""Of the process, for a round over 100,000 jobs."""
MEMORY_MIB = 400
GROWTH = 1.2
"""What a job may cost at 100,000, in terms of one at 10,000."""
CHANGED = 20
"""One job of so many changes in each interval, in the last part."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a while of watching took. `rounds` counts by the reads that a round takes."""

    rounds: float
    seconds: list[float]
    reads: float
    cpu: float
    """Seconds of the process for a round, with all that it does besides."""
    mib: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A server that watches so many jobs at a stub."""

    server: Server
    stub: Stub
    session: aiohttp.ClientSession
    count: int

    async def control(self, what: str, **asked: Any) -> None:
        async with self.session.post(f"{self.stub.url}/control/{what}", json=asked) as answer:
            answer.raise_for_status()

    async def observe(
        self, reads_a_round: float, seconds: float = WATCH_SECONDS, latency: float = 0.0
    ) -> Observed:
        """Look on for a while, in which the rounds go on as they do.

        A round lasts from its first request's arrival to its last one's answer.
        """
        line, _ = await self._log(0)
        before = self.server.cpu_seconds()
        await asyncio.sleep(seconds)
        cpu = self.server.cpu_seconds() - before
        _, reads = await self._log(line)
        rounds = len(reads) / reads_a_round
        whole = [one for one in divided(reads) if len(one) >= 0.9 * reads_a_round]
        # The last one may not be over yet.
        whole = whole[:-1] or whole
        return Observed(
            rounds,
            [one[-1] - one[0] + latency for one in whole],
            quantile([len(one) for one in whole], 0.5),
            cpu / rounds,
            self.server.rss_mib(),
        )

    async def _log(self, line: int) -> tuple[int, list[dict[str, Any]]]:
        url = f"{self.stub.url}/control/state?from={line}"
        async with self.session.get(url) as answer:
            state = await answer.json()
        return state["next"], [one for one in state["log"] if one["kind"] in {"list", "get"}]


def divided(reads: Sequence[dict[str, Any]]) -> list[list[float]]:
    """Divide reads into rounds: each begins with the newest page, or behind a pause."""
    rounds: list[list[float]] = []
    for read in reads:
        moment, newest = read["t"], read["kind"] == "list" and "after" not in read
        if not rounds or newest or moment - rounds[-1][-1] > POLL_SECONDS / 4:
            rounds.append([])
        rounds[-1].append(moment)
    return rounds


async def measure(kind: str, target: Target, count: int, figures: Figures) -> float:
    """Watch so many jobs; return what one costs in a round, in microseconds of CPU."""
    stub = Stub("bench.upstream")
    with tempfile.TemporaryDirectory(prefix="reelhook-bench-") as folder:
        server = Server(Path(folder), environment(kind, target, stub))
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                here = Watched(server, stub, session, count)
                await here.control("make", count=count)
                await fill(target, count)
                await server.start()
                return await _measure(here, target, figures)
        finally:
            server.close()
            stub.close()


def environment(kind: str, target: Target, stub: Stub) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{target}" if kind == "sqlite" else str(target),
        "OPENAI_BASE_URL": f"{stub.url}/v1",
        "REELHOOK_POLL_SECONDS": f"{POLL_SECONDS:g}",
        "REELHOOK_MAX_AGE_HOURS": "240",
    }


async def _measure(here: Watched, target: Target, figures: Figures) -> float:
    count, pages = here.count, -(-here.count // PAGE)
    name = f"{count:,}"
    await asyncio.sleep(SETTLE_SECONDS * max(1, count / 50_000))
    before = await counters(target)
    near = await here.observe(pages)
    written = await counters(target) - before
    figures.equal(f"{name}: rows written, nothing changed, a round", written, 0)
    figures.tell(f"{name}: round, upstream at once", _seconds(near))
    cost = near.cpu / count * 1_000_000
    figures.tell(f"{name}: CPU a job and round", f"{cost:.3g} us")
    await here.control("settings", latency_ms=LATENCY_MS)
    await asyncio.sleep(2 * POLL_SECONDS)
    far = await here.observe(pages, latency=LATENCY_MS / 1000)
    figures.at_most(
        f"{name}: round, upstream {LATENCY_MS} ms",
        max(far.seconds, default=math.nan),
        ROUND_SECONDS[count],
        " s",
    )
    figures.at_most(f"{name}: reads a round", far.reads, 1.05 * pages + 2)
    figures.at_most(f"{name}: CPU a round", far.cpu, CPU_SECONDS * count / 100_000 + 0.1, " s")
    figures.at_most(f"{name}: memory", far.mib, MEMORY_MIB, " MiB")
    if count == COUNTS[0]:
        await _singly(here, near, figures)
    return cost


def _seconds(observed: Observed) -> str:
    most = max(observed.seconds, default=math.nan)
    return f"{quantile(observed.seconds, 0.5):.3g} s, at most {most:.3g} s"


async def _singly(here: Watched, paged: Observed, figures: Figures) -> None:
    """The same jobs where the upstream has no listing, so that each is read by itself."""
    await here.control("settings", latency_ms=0, listing="refused")
    await asyncio.sleep(2 * POLL_SECONDS)
    single = await here.observe(here.count, 4 * POLL_SECONDS)
    figures.tell(f"{here.count:,}: reads a round, one by one", single.reads)
    figures.tell(f"{here.count:,}: CPU by pages, times less", f"{single.cpu / paged.cpu:.3g}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.watch", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--jobs", type=int, choices=COUNTS, action="append", help="default: all")
    arguments = parser.parse_args()
    reached = True
    for kind in arguments.kind or KINDS:
        figures, costs = Figures(f"watch-{kind}"), {}
        for count in arguments.jobs or COUNTS:
            with fresh(kind, None) as target:
                costs[count] = uvloop.run(measure(kind, target, count, figures))
        if {10_000, 100_000} <= costs.keys():
            growth = costs[100_000] / costs[10_000]
            figures.at_most("cost of a job, 100,000 against 10,000", growth, GROWTH)
        figures.show()
        figures.write(Path(os.environ.get("BENCH_RESULTS", "bench/results")))
        reached = reached and figures.reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
