"""Watching many jobs of one account: `python -m bench.watch`, or `make bench-watch`.

`reelhook serve` runs on a database that holds the jobs already, beside an upstream stub in a
process of its own. What a round costs is seen from outside: the stub's log, the process's CPU
time and memory, the database's own counters.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from bench.figures import Figures, quantile
from bench.processes import Server, Stub
from bench.store_databases import KINDS, fresh
from bench.watch_jobs import fill, shown_percent, written
from bench.watching import Observed, Watching
from reelhook.storage.operation import Target

COUNTS = (1_000, 10_000, 100_000)
POLL_SECONDS = 5.0
LATENCY_MS = 150
PAGE = 100
SETTLE_SECONDS = 12.0
"""Until the first rounds are over, which learn the listing's order."""
WATCH_SECONDS = 6 * POLL_SECONDS
STALL_SECONDS = 3 * POLL_SECONDS
ROUND_SECONDS = {1_000: 5.0, 10_000: 5.0, 100_000: 20.0}
CPU_SECONDS = 2.0
"""For a round over 100,000 jobs; of fewer in proportion."""
CPU_SECONDS_OF_A_ROUND = 0.02
"""For what every round takes, however few its jobs."""
STALL_MS = 100.0
MEMORY_MIB = 400
GROWTH = 1.2
"""What a job may cost at 100,000, in terms of one at 10,000."""
CHANGED = 20
"""One job of so many changes in each interval of the last part."""
CHANGES = 4


@dataclass(frozen=True, slots=True)
class Case:
    """One run: so many jobs, seen on one kind of database."""

    here: Watching
    target: Target
    figures: Figures

    @property
    def pages(self) -> int:
        return -(-self.here.count // PAGE)

    def name(self, what: str) -> str:
        return f"{self.here.count:,}: {what}"


async def measure(kind: str, target: Target, count: int, figures: Figures) -> float:
    """Watch so many jobs; return what one costs in a round, in microseconds of CPU."""
    stub = Stub("bench.upstream")
    with tempfile.TemporaryDirectory(prefix="reelhook-bench-") as folder:
        server = Server(Path(folder), environment(kind, target, stub))
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                here = Watching(server, stub, session, count, POLL_SECONDS)
                await here.control("settings", latency_ms=0)
                await here.control("make", count=count)
                await fill(target, count)
                await server.start()
                await asyncio.sleep(SETTLE_SECONDS * max(1, count / 50_000))
                return await _measure(Case(here, target, figures))
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


async def _measure(case: Case) -> float:
    here = case.here
    await here.measure_idle(3 * POLL_SECONDS)
    await asyncio.sleep(2 * POLL_SECONDS)
    near = await _unchanged(case)
    await here.control("settings", latency_ms=LATENCY_MS)
    await asyncio.sleep(2 * POLL_SECONDS)
    far = await _far(case)
    await _stalls(case)
    await _changing(case)
    if here.count == COUNTS[0]:
        await _singly(case, near)
    return far.cpu / here.count * 1_000_000


async def _unchanged(case: Case) -> Observed:
    """Rounds in which nothing changes, at an upstream that answers at once."""
    before = await written(case.target)
    near = await case.here.observe(case.pages, WATCH_SECONDS)
    after = await written(case.target)
    jobs, rounds = after.rows - before.rows, after.rounds - before.rounds
    case.figures.equal(case.name("rows of jobs and theirs written"), jobs, 0)
    if not isinstance(case.target, Path):
        figure = case.name("writes of accounts.round_at a round")
        case.figures.at_most(figure, rounds / near.rounds, 1.3)  # one at each end of the while
    case.figures.tell(case.name("round, upstream at once"), _seconds(near))
    case.figures.tell(case.name("CPU a round, upstream at once"), f"{near.cpu:.3g} s")
    return near


async def _far(case: Case) -> Observed:
    """The same at an upstream as far away as real ones are."""
    here, figures, count = case.here, case.figures, case.here.count
    far = await here.observe(case.pages, WATCH_SECONDS, LATENCY_MS / 1000)
    last = await written(case.target)
    recorded = [last.round_at - begun for begun in far.begun if begun < last.round_at]
    figures.at_most(
        case.name(f"round, upstream {LATENCY_MS} ms"), far.longest, ROUND_SECONDS[count], " s"
    )
    figures.at_most(
        case.name("the same, until it is recorded"), min(recorded), ROUND_SECONDS[count], " s"
    )
    figures.at_most(case.name("reads a round"), far.reads, 1.05 * case.pages + 2)
    wanted = CPU_SECONDS * count / 100_000 + CPU_SECONDS_OF_A_ROUND
    figures.at_most(case.name("CPU a round"), far.cpu, wanted, " s")
    figures.tell(case.name("CPU a job and round"), f"{far.cpu / count * 1_000_000:.3g} us")
    figures.tell(case.name("CPU while nothing is watched"), f"{here.idle * 1000:.3g} ms/s")
    figures.at_most(case.name("memory"), far.mib, MEMORY_MIB, " MiB")
    return far


async def _stalls(case: Case) -> None:
    took = await case.here.stalls(STALL_SECONDS)
    figures = case.figures
    figures.at_most(case.name("longest stall of the event loop"), 1000 * max(took), STALL_MS, " ms")


async def _changing(case: Case) -> None:
    """One job in twenty changes in each interval."""
    here, figures = case.here, case.figures
    ids = [f"video_{number:07d}" for number in range(0, here.count, CHANGED)]
    before = await written(case.target)
    plan = {"start_in": 1.0, "every": POLL_SECONDS, "count": CHANGES, "ends": False, "seed": 1}
    await here.control("plan", ids=ids, **plan)
    seen = await here.observe(case.pages, (CHANGES + 1) * POLL_SECONDS, LATENCY_MS / 1000)
    figures.tell(case.name("CPU a round, 5 % changed"), f"{seen.cpu:.3g} s")
    figures.tell(case.name("round, 5 % changed"), _seconds(seen))
    figures.at_most(case.name("memory, 5 % changed"), seen.mib, MEMORY_MIB, " MiB")
    await asyncio.sleep(2 * POLL_SECONDS)
    after = await written(case.target)
    arrived = await shown_percent(case.target, CHANGES)
    figures.equal(case.name("changed jobs that were told their last change"), arrived, len(ids))
    events = (after.events - before.events) / (len(ids) * CHANGES)
    # Two changes that one round sees are one event.
    figures.at_least(case.name("changes that became events"), 100 * events, 80, " %")


async def _singly(case: Case, paged: Observed) -> None:
    """The same jobs where the upstream has no listing, so that each is read by itself."""
    here, figures = case.here, case.figures
    await here.control("settings", latency_ms=0, listing="refused")
    await asyncio.sleep(2 * POLL_SECONDS)
    single = await here.observe(here.count, 4 * POLL_SECONDS)
    figures.tell(case.name("reads a round, one by one"), single.reads)
    figures.at_least(case.name("CPU by pages, times less"), single.cpu / paged.cpu, 3.0)


def _seconds(observed: Observed) -> str:
    return f"{quantile(observed.seconds, 0.5):.3g} s, at most {observed.longest:.3g} s"


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
