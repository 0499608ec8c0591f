"""The stage of a delivery scenario, and a plan carried out on it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.delivery import feed
from bench.delivery.feed import Plan
from bench.figures import Figures, quantile
from bench.processes import durable_writes
from bench.stage import Stage, Work, stage

SETTLE_SECONDS = 1.0
WATCH_SECONDS = 3.0
LATE_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One plan as it was carried out. CPU as in `Work`; seconds from its start to the last."""

    arrivals: list[dict[str, Any]]
    work: Work
    seconds: float


@asynccontextmanager
async def receiving(name: str, poll: float, endpoints: int) -> AsyncIterator[Stage]:
    """A stage whose server runs, whose receivers are sinks, and whose upstream answers at once."""
    sink = ("bench.delivery.sink", "--ports", str(endpoints))
    environment = {"REELHOOK_POLL_SECONDS": f"{poll:g}"}
    async with stage(f"delivery-{name}", environment, sink) as here:
        await here.set_upstream(latency_ms=0)
        await here.server.start()
        yield here


async def tell_disk(figures: Figures, here: Stage) -> None:
    writes = await asyncio.to_thread(durable_writes, here.folder)
    shown = ", ".join(f"{quantile(writes, share) * 1000:.1f}" for share in (0.5, 0.99, 1))
    figures.tell("durable write just before, p50, p99, worst", f"{shown} ms")


async def watching_cores(here: Stage) -> float:
    """Return what the server takes, in cores, to watch jobs that don't change."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = here.work()
    await asyncio.sleep(WATCH_SECONDS)
    return here.work().since(before).server / WATCH_SECONDS


async def carry_out(here: Stage, videos: Sequence[str], plan: Plan) -> Phase:
    """Start a plan and wait until all has arrived, or should have."""
    first = await feed.arrived(here)
    before, started = here.work(), time.monotonic()
    await feed.start(here, videos, plan)
    await asyncio.sleep(feed.START_SECONDS + plan.seconds)
    planned = plan.events(len(videos))
    await feed.all_arrived(here, first + planned, seconds=LATE_SECONDS_MAX)
    work, seconds = here.work().since(before), time.monotonic() - started
    return Phase(await here.arrivals(first), work, seconds)
