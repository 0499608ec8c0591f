"""The store by itself, on both databases: what group commit brings, and what slows it down.

    python -m bench.store [--kind sqlite|postgresql] [--server URL] [--waiting 200000]

Everything is durable: fully synchronous writes. Each figure stands beside that of the same work
with a transaction of its own for every write, in the same run.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

from reelhook.ports import DueDelivery
from reelhook.storage.operation import Target
from reelhook.storage.store import Store

from . import store_loads as loads
from .each_database import run_on_each
from .figures import Figures, quantile
from .store_databases import execute, held_transaction, open_store

SUBMITS_PER_SECOND = 2000
SUBMIT_SECONDS = 0.050
GROUPED_TIMES = {"store-sqlite": 5.0, "store-postgresql": 3.5}
DELIVERIES_PER_SECOND = 2000
QUIET_SECONDS = 1.0
HELD_DELIVERIES_PER_SECOND = 500
HELD_SECONDS = 300
LOUD = 1_000_000  # the number of an endpoint that is not among the others
TICK_MILLISECONDS = 50.0
"""A round over 10,000 jobs may take a tenth of the 5 s between rounds."""


async def rate(work: Awaitable[object], count: int) -> float:
    begin = time.perf_counter()
    await work
    return count / (time.perf_counter() - begin)


def creating(store: Store, prefix: str, count: int) -> list[Callable[[], Awaitable[object]]]:
    at = loads.now()
    jobs = [loads.new(f"{prefix}_{n}", loads.endpoint_url(n % 100), at) for n in range(count)]
    return [partial(store.create, one) for one in jobs]


async def submits(target: Target, figures: Figures) -> None:
    """Jobs come in, many at once."""
    async with open_store(target) as database:
        await rate(loads.spread(creating(Store(database), "warm", 2000), 256), 2000)
    alone = []
    together = []
    for turn in range(3):  # in turn: what else the machine does weighs on both
        async with open_store(target, group_size=1) as database:
            works = creating(Store(database), f"alone{turn}", 1000)
            alone.append(await rate(loads.spread(works, 256), 1000))
        async with open_store(target) as database:
            works = creating(Store(database), f"many{turn}", 6000)
            together.append(await rate(loads.spread(works, 256), 6000))
    async with open_store(target) as database:
        works = creating(Store(database), "paced", SUBMITS_PER_SECOND * 5)
        seconds = await loads.at_rate(works, SUBMITS_PER_SECOND)
    one, many = quantile(alone, 0.5), quantile(together, 0.5)
    figures.tell("submits/s, one by one", round(one))
    figures.at_least("submits/s, group commit", many, SUBMITS_PER_SECOND)
    figures.at_least("group commit, times", many / one, GROUPED_TIMES[figures.scenario])
    figures.at_most("submit at 2,000/s, p50", quantile(seconds, 0.5) * 1000, 50, " ms")
    figures.at_most(
        "submit at 2,000/s, p99", quantile(seconds, 0.99) * 1000, SUBMIT_SECONDS * 1000, " ms"
    )


async def ticks(target: Target, figures: Figures, count: int = 10_000) -> None:
    """A round finds that one job of twenty has changed."""
    async with open_store(target) as database:
        store = Store(database)
        jobs = await loads.watched(store, "tick", count, endpoints=100)
        await execute(database, "ANALYZE")
        begin = time.perf_counter()
        for job in jobs[: count // 200]:
            await store.record([loads.progressed(job, 5)], None)
        alone = (time.perf_counter() - begin) * 10  # a tenth of the changes
        milliseconds = []
        for turn in range(5):
            begin = time.perf_counter()
            pending = await store.jobs_to_watch(loads.ACCOUNT)
            changed = [loads.progressed(job, 10 + turn) for job in pending[turn::20]]
            await store.record(changed, None)
            milliseconds.append((time.perf_counter() - begin) * 1000)
        middle = quantile(milliseconds, 0.5)
        begin = time.perf_counter()
        await store.jobs_to_watch(loads.ACCOUNT)
        reading = (time.perf_counter() - begin) * 1000
    thousands = len(pending) / 1000
    figures.at_most("tick of 1,000 jobs, 5 % changed", middle / thousands, TICK_MILLISECONDS, " ms")
    figures.tell("  of it reading them", f"{reading / thousands:.3g} ms")
    figures.tell("  one change by one", f"{(alone * 1000 + reading) / thousands:.3g} ms")


async def deliveries(target: Target, figures: Figures, count: int = 6000) -> None:
    """Receivers answer at once: the database alone sets the pace."""
    async with open_store(target) as database:
        store = Store(database)
        jobs = await loads.watched(store, "sent", count, endpoints=200)
        for begin in range(0, count, 1000):
            changes = [loads.progressed(job, 50) for job in jobs[begin : begin + 1000]]
            await store.record(changes, None)
        await execute(database, "ANALYZE")
    async with open_store(target, group_size=1) as database:
        alone = await rate(loads.deliver(Store(database), 1000), 1000)
    async with open_store(target) as database:
        many = await rate(loads.deliver(Store(database), 4000), 4000)
    figures.tell("deliveries/s, one by one", round(alone))
    figures.at_least("deliveries/s, group commit", many, DELIVERIES_PER_SECOND)
    figures.tell("  times", f"{many / alone:.3g}")


async def crowded(target: Target, figures: Figures, waiting: int) -> None:
    """One endpoint has a very long queue; then someone forgets a transaction, too."""
    async with open_store(target) as database:
        store = Store(database)
        (loud,) = await loads.watched(store, "loud", 1, endpoints=1, first=LOUD)
        await store.record([loads.progressed(loud, 50)], None)
        await loads.multiply(database, loud.id, waiting)
        seconds = await _quiet(store)
        figures.at_most(
            f"quiet beside {waiting:,} waiting, p99",
            quantile(seconds, 0.99) * 1000,
            QUIET_SECONDS * 1000,
            " ms",
        )
        async with held_transaction(target):
            await loads.settle_at_once(database, HELD_SECONDS * HELD_DELIVERIES_PER_SECOND)
            held = await rate(loads.deliver(store, 3000), 3000)
            figures.at_least(
                "deliveries/s, transaction held 5 min", held, HELD_DELIVERIES_PER_SECOND
            )
            seconds = await _quiet(store)
            figures.at_most(
                "  quiet beside it, p99",
                quantile(seconds, 0.99) * 1000,
                QUIET_SECONDS * 1000,
                " ms",
            )


async def _quiet(store: Store, count: int = 100) -> list[float]:
    """Return how long each event at quiet endpoints takes to be found while a queue drains."""
    jobs = await loads.watched(store, f"quiet{time.time_ns()}", count, endpoints=count)
    begun: dict[str, float] = {}
    seconds: dict[str, float] = {}
    found = asyncio.Event()

    def see(due: DueDelivery) -> None:
        if due.delivery.job_id in begun:
            seconds[due.delivery.job_id] = time.perf_counter() - begun[due.delivery.job_id]
            found.set()

    draining = asyncio.create_task(loads.deliver(store, 10**9, see))
    for job in jobs:
        found.clear()
        begun[job.id] = time.perf_counter()
        await store.record([loads.progressed(job, 50)], None)
        await asyncio.wait_for(found.wait(), 30)
    draining.cancel()
    await asyncio.wait([draining])
    return list(seconds.values())


async def measure(kind: str, target: Target, waiting: int) -> Figures:
    figures = Figures(f"store-{kind}")
    await submits(target, figures)
    await ticks(target, figures)
    await deliveries(target, figures)
    await crowded(target, figures, waiting)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--waiting", type=int, default=200_000, help="at the loud endpoint")
    return run_on_each(parser, measure, "waiting")


if __name__ == "__main__":
    sys.exit(main())
