"""Healthy webhooks beside 10,000 receivers that fail: `python -m bench.failing`.

Two servers have the same healthy receivers; one of them has besides 10,000 jobs whose own webhook
URLs refuse connections, each an endpoint with an open breaker. They take turns, the other one
stopped. A noisy second hits one turn of one of them. So what counts is the median, over the pairs
of turns, of the ratio of their 95th percentiles. A server that was stopped catches up on the probes
of that time, so it sends more of them than one that runs all the time.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench.delivery import feed
from bench.delivery.feed import Plan
from bench.delivery.latency import Spread, latencies, ratio
from bench.delivery.phase import carry_out
from bench.figures import Figures
from bench.main_job import run
from bench.processes import free_port
from bench.stage import RESULTS, Stage, stage
from bench.store_databases import KINDS, execute, fresh, open_store
from bench.store_loads import spread
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.payload import event_body
from reelhook.ports import Change, Destination, NewJob
from reelhook.storage.operation import Target
from reelhook.storage.store import Store

HEALTHY = 20
JOBS_PER_ENDPOINT = 2
PLAN = Plan(every=1.0, count=12)
TURNS = 6
TIMES_MAX = 1.2
SETTLE_SECONDS = 3.0
PROBE_MILLISECONDS = 300_000
SECONDS_MAX = 600.0
DUE = {
    "quiet": "after the measurement",
    "steady": "spread over five minutes, as probes are after a while",
    "together": "all at the same moment",
}
"""When the probes are due, by the name of the scenario."""
_OPEN = """
UPDATE endpoints SET failures = 9, failing_since = ?1, probe_due_at = ?1, probe_milliseconds = ?2
"""
_DUE_LATER = {
    # No later: a time that no correct clock could choose is repaired, and the probes would go out.
    "quiet": "UPDATE endpoints SET probe_due_at = probe_due_at + probe_milliseconds WHERE ?1 > 0",
    "steady": "UPDATE endpoints SET probe_due_at = probe_due_at + probe_milliseconds"
    " * (SELECT count(*) FROM endpoints o WHERE o.id < endpoints.id) / ?1",
}


@dataclass(slots=True)
class Side:
    """One of the two servers. `turns` has each turn's latencies in milliseconds."""

    here: Stage
    videos: Sequence[str]
    turns: list[list[float]] = field(default_factory=list)
    cpu: float = 0.0
    seconds: float = 0.0
    probes: int = 0

    async def turn(self) -> None:
        """Deliver for a while, with the other server stopped."""
        self.here.server.resume()
        await asyncio.sleep(SETTLE_SECONDS)
        before = self._failed_attempts()
        phase = await carry_out(self.here, self.videos, PLAN)
        self.here.server.pause()
        self.probes += self._failed_attempts() - before
        self.turns.append(latencies(phase.arrivals))
        self.cpu += phase.work.server
        self.seconds += phase.seconds

    def _failed_attempts(self) -> int:
        return self.here.server.log.read_text().count('"webhook.failed"')


async def measure(kind: str, due: str, count: int, turns: int) -> Figures:
    figures = Figures(f"failing-{due}-{kind}")
    figures.tell("their probes are due", DUE[due])
    with fresh(kind, None) as alone, fresh(kind, None) as beside:
        await fill(beside, count, due)
        async with _side("alone", alone) as one, _side("beside", beside) as other:
            for _ in range(turns):
                await one.turn()
                await other.turn()
            other.here.server.resume()
            _judge(figures, one, other)
            await _tell_probes(figures, other.here)
    return figures


@asynccontextmanager
async def _side(name: str, target: Target) -> AsyncIterator[Side]:
    environment = {
        "DATABASE_URL": target if isinstance(target, str) else f"sqlite:///{target}",
        "REELHOOK_POLL_SECONDS": "0.1",
    }
    sink = ("bench.delivery.sink", "--ports", str(HEALTHY))
    async with stage(f"failing-{name}", environment, sink) as here:
        await here.set_upstream(latency_ms=0)
        await here.server.start()
        videos = await feed.make(here, HEALTHY * JOBS_PER_ENDPOINT)
        await feed.register(here, videos, feed.urls(here, HEALTHY))
        here.server.pause()
        yield Side(here, videos)


def _judge(figures: Figures, alone: Side, beside: Side) -> None:
    planned = PLAN.events(HEALTHY * JOBS_PER_ENDPOINT) * len(alone.turns)
    for side, name in ((alone, "without them"), (beside, "beside them")):
        latency = [one for turn in side.turns for one in turn]
        figures.at_least(f"{name}: webhooks of {planned}", len(latency), 0.95 * planned)
        figures.tell(f"{name}: p50 / p95 / p99 / worst", f"{Spread.of(latency)} ms")
        figures.tell(f"{name}: CPU of the server", f"{side.cpu / side.seconds:.2f} cores")
    figures.tell("probes while the server runs", f"{beside.probes / beside.seconds:.1f} a second")
    pairs = zip(beside.turns, alone.turns, strict=True)
    each = sorted(ratio(Spread.of(with_).p95, Spread.of(without).p95) for with_, without in pairs)
    figures.tell("p95 beside them over p95 without, each pair", " ".join(f"{x:.2f}" for x in each))
    times = median(each)
    figures.at_most("p95 beside them over p95 without, median", times, TIMES_MAX, "x")
    figures.values["p95_over_without"] = round(times, 3)


async def _tell_probes(figures: Figures, here: Stage) -> None:
    stats = await here.get(f"{here.server.url}/api/stats")
    figures.tell("endpoints that fail, at the end", stats["endpoints"]["failing"])


async def fill(target: Target, count: int, due: str) -> None:
    """Let the ends of that many jobs wait, each at a URL of its own whose breaker is open."""
    port, now = free_port(), time.time_ns() // 1_000_000
    async with open_store(target) as database:
        store = Store(database)
        await spread((partial(_add, store, n, port, now) for n in range(count)), 256)
        await execute(database, _OPEN, now, PROBE_MILLISECONDS)
        if due != "together":
            await execute(database, _DUE_LATER[due], count)
        later = now + 3_600_000
        await execute(database, "UPDATE deliveries SET attempts = 9, due_at = ?1", later)
        ids = [row[0] for row in await execute(database, "SELECT id FROM endpoints")]
        for begin in range(0, count, 500):
            await store.rest_endpoints(ids[begin : begin + 500])
        await execute(database, "ANALYZE")


async def _add(store: Store, number: int, port: int, now: int) -> None:
    job = Job(f"job_{number:08}", "openai", Status.ACCEPTED, now, now)
    url = f"http://127.0.0.1:{port}/hooks/{number}"
    request: Any = VideoRequest("x", "sora-2")
    await store.create(NewJob(job, request, url, (Destination.to(url),)))
    after, events = job.fail("provider_error", "It failed", now)
    bodies = tuple(event_body(one, "") for one in events)
    await store.record([Change(after, events, bodies)], None)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.failing", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--due", choices=[*DUE], action="append", help="default: each")
    parser.add_argument("--count", type=int, default=10_000, help="endpoints that fail")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each server")
    options = parser.parse_args()
    done = [
        asyncio.run(
            run(
                f"failing-{due}-{kind}",
                partial(measure, kind, due, options.count, options.turns),
                SECONDS_MAX,
            )
        )
        for kind in options.kind or KINDS
        for due in options.due or DUE
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if all(figures.reached for figures in done) else 1)


if __name__ == "__main__":
    main()
