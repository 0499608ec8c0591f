"""Two projects share one account: one submits 10,000 jobs at once, the other one a second.

    python -m bench.fairness [--kind sqlite|postgresql] [--jobs 10000]

The store is the real one; time and the provider are simulated. Every slot that becomes free is
given to the next job at once. The slots of the first case end evenly spread; those of the second
have random renders, where the wait for the next free slot alone has a p95 of 3 times its mean.
At last, 1,000 projects wait with 300 jobs each.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from random import Random

from reelhook.domain.job import Job, Status
from reelhook.domain.report import Finished
from reelhook.domain.request import VideoRequest
from reelhook.engine.submitting.submit import SUBMITS_AT_ONCE
from reelhook.ports import Change, NewJob
from reelhook.storage.operation import Database
from reelhook.storage.operations.rows import STATE_COLUMNS, state_of
from reelhook.storage.store import Store

from .each_database import run_on_each
from .figures import Figures, quantile
from .store_databases import execute, open_store
from .store_loads import spread

ACCOUNT = "bench"
SLOTS = 10
RENDER_SECONDS = 2.0
QUIET_JOBS = 120
BEGIN = 1_767_225_600_000
PROJECTS = 1000
ROWS_AT_ONCE = 20_000
LOOK_MILLISECONDS = 300.0
COST_TIMES = 2.0
"""How much longer a look may take next to 10,000 waiting jobs; it reads the same rows."""
_REQUEST = VideoRequest(prompt="A cat in the rain", model="sora-2")


def new(project: str, number: int, at: float) -> NewJob:
    """A job of a project, created that many seconds after the beginning."""
    instant = BEGIN + round(at * 1000)
    job = Job(
        f"{project}_{number}",
        ACCOUNT,
        Status.ACCEPTED,
        instant,
        instant,
        submit_due_at=instant,
        model="sora-2",
        project=project,
    )
    return NewJob(job, _REQUEST, None, ())


@dataclass
class Provider:
    """A simulated provider with some slots, and the times at which its jobs end."""

    store: Store
    random: Random | None
    ends: list[tuple[float, str]] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def _seconds(self) -> float:
        if self.random is not None:
            return self.random.uniform(0.5, 1.5) * RENDER_SECONDS
        if len(self.began) < SLOTS:  # spread their ends
            return RENDER_SECONDS * (1 + len(self.began) / SLOTS)
        return RENDER_SECONDS

    async def begin(self, at: float) -> None:
        """Begin what is next in the free slots."""
        free = SLOTS - len(self.ends)
        if free <= 0:
            return
        now = BEGIN + round(at * 1000)
        due, _ = await self.store.jobs_to_submit(ACCOUNT, now, free)
        for job_id in await self.store.record(
            [Change(one.job.submitting(now)) for one in due], None
        ):
            heappush(self.ends, (at + self._seconds(), job_id))
            self.began[job_id] = at
            self.order.append(job_id)

    async def end(self) -> float:
        """End the job that ends first. Return when."""
        at, job_id = heappop(self.ends)
        now = BEGIN + round(at * 1000)
        job = (await self.store.job(job_id)).job.accept(f"video_{job_id}", now)
        ended, _ = job.apply(Finished("https://cdn.example/v.mp4"), now)
        await self.store.record([Change(ended)], None)
        return at


async def quiet_waits(
    store: Store, random: Random | None = None, jobs: int = QUIET_JOBS
) -> tuple[list[float], int]:
    """Let the quiet project submit one job a second, and all slots work.

    Return its waits in seconds, and the most jobs of others that began while one of its waited.
    """
    provider = Provider(store, random)
    await provider.begin(0.0)
    number = 0
    arrivals = [10.25 + 1.03 * count for count in range(jobs)]  # at any place of a slot
    passed: list[int] = []
    created: dict[str, int] = {}
    while len(passed) < jobs:
        arrival = arrivals[number] if number < jobs else float("inf")
        if provider.ends and provider.ends[0][0] <= arrival:
            await provider.begin(await provider.end())
        else:
            await store.create(new("quiet", number, arrival))
            created[f"quiet_{number}"] = len(provider.order)
            number += 1
            await provider.begin(arrival)
        passed = [
            provider.order.index(job_id) - before
            for job_id, before in created.items()
            if job_id in provider.began
        ]
    waits = [provider.began[f"quiet_{n}"] - arrivals[n] for n in range(jobs)]
    return waits, max(passed)


async def look_milliseconds(store: Store, turns: int = 100, limit: int = SLOTS) -> float:
    """Return how long a look for the next jobs takes."""
    taken = []
    for _ in range(turns):
        begin = time.perf_counter()
        await store.jobs_to_submit(ACCOUNT, BEGIN + 10**9, limit)
        taken.append((time.perf_counter() - begin) * 1000)
    return quantile(taken, 0.1)  # what else the machine does only adds


async def crowd(database: Database, projects: int, jobs: int) -> None:
    """Let so many jobs of each project wait, stored with few statements."""
    at = f"{BEGIN} + CAST(n AS BIGINT)"
    state = dict(zip(STATE_COLUMNS, state_of(new("", 0, 0).job), strict=True))
    made = {"id": "'job_' || n", "project": f"'prj_' || (n % {projects})"}
    made |= dict.fromkeys(("created_at", "updated_at", "submit_due_at"), at)
    made |= {"script": "'A cat in the rain'", "title": "'A cat'", "render_version": "'v3'"}
    plain = [name for name in STATE_COLUMNS if name not in made]
    made |= {name: f"?{number}" for number, name in enumerate(plain, start=2)}
    for done in range(0, projects * jobs, ROWS_AT_ONCE):
        await execute(
            database,
            f"WITH RECURSIVE numbers(n) AS (SELECT {done + 1} UNION ALL SELECT n + 1 FROM numbers"  # noqa: S608 - constant columns
            f" WHERE n < CAST(?1 AS INTEGER)) INSERT INTO jobs ({', '.join(made)})"
            f" SELECT {', '.join(made.values())} FROM numbers",
            min(done + ROWS_AT_ONCE, projects * jobs),
            *(state[name] for name in plain),
        )


async def _analyze(database: Database, kind: str) -> None:
    if kind == "postgresql":  # as its autovacuum does by itself
        await execute(database, "ANALYZE")


async def many_projects(kind: str, target: Path | str, figures: Figures, each: int) -> None:
    """Look at the queue of an account at which very many projects wait."""
    async with open_store(target) as database:
        store = Store(database)
        await execute(database, "DELETE FROM jobs")
        await execute(database, "DELETE FROM turns")
        await crowd(database, PROJECTS, each)
        await _analyze(database, kind)
        taken = await look_milliseconds(store, 10, limit=SUBMITS_AT_ONCE)
        figures.at_most(
            f"a look at {PROJECTS:,} projects of {each} jobs", taken, LOOK_MILLISECONDS, " ms"
        )
        blocked = await blocked_milliseconds(look_milliseconds(store, 10, limit=SUBMITS_AT_ONCE))
        figures.tell("  the event loop is blocked", f"{blocked:.3g} ms")
        middle = (await store.job(f"job_{PROJECTS * each // 2}")).job
        began = time.perf_counter()
        await store.jobs_ahead(middle)
        figures.tell("  a place there", f"{(time.perf_counter() - began) * 1000:.3g} ms")


async def blocked_milliseconds(work: Awaitable[object]) -> float:
    """Return the longest time for which the event loop runs nothing else meanwhile."""
    longest, running = 0.0, asyncio.ensure_future(work)
    while not running.done():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - began)
    await running
    return longest * 1000


async def measure(kind: str, target: Path | str, jobs: int) -> Figures:
    figures = Figures(f"fairness-{kind}")
    bound = 1.5 * RENDER_SECONDS / SLOTS
    for name, random in (("spread", None), ("random", Random(7))):  # noqa: S311 - no secret
        async with open_store(target) as database:
            store = Store(database)
            await execute(database, "DELETE FROM jobs")
            await execute(database, "DELETE FROM turns")
            alone, _ = await quiet_waits(store, random)
            await execute(database, "DELETE FROM jobs")
            await spread([partial(store.create, new("few", n, 0)) for n in range(SLOTS)], 256)
            await _analyze(database, kind)
            few = await look_milliseconds(store)
            await execute(database, "DELETE FROM jobs")
            await spread([partial(store.create, new("loud", n, 0)) for n in range(jobs)], 256)
            await _analyze(database, kind)
            many = await look_milliseconds(store)
            last = (await store.job(f"loud_{jobs - 1}")).job
            began = time.perf_counter()
            place = await store.jobs_ahead(last)
            figures.equal(f"{name}: place of the last job", place, jobs - 1)
            figures.tell("  read in", f"{(time.perf_counter() - began) * 1000:.3g} ms")
            waits, passed = await quiet_waits(store, random)
        p95, p95_alone = quantile(waits, 0.95), quantile(alone, 0.95)
        figures.tell("  p95 wait of the quiet project alone", f"{p95_alone:.3f} s")
        if random is None:
            figures.at_most("  p95 wait next to the loud one", p95, p95_alone + bound, " s")
        else:
            figures.tell("  p95 wait next to the loud one", f"{p95:.3f} s")
        figures.at_most("  jobs of the loud one that began before a waiting one", passed, 1)
        figures.at_most("  a look, times one at few jobs", many / few, COST_TIMES)
        figures.tell("  a look", f"{many:.3g} ms")
    await many_projects(kind, target, figures, each=max(1, jobs * 3 // 100))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="of the loud project")
    return run_on_each(parser, measure, "jobs")


if __name__ == "__main__":
    sys.exit(main())
