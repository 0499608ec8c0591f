"""A steady rate of events over many endpoints."""

from dataclasses import dataclass

from bench.delivery import feed
from bench.delivery.ceiling import ceiling
from bench.delivery.judge import (
    judge_arrivals,
    judge_feed,
    judge_spread,
    tell_ceiling,
    tell_cpu,
    tell_load,
)
from bench.delivery.latency import Spread, burst, latencies
from bench.delivery.phase import carry_out, receiving, tell_disk, watching_cores
from bench.figures import Figures


@dataclass(frozen=True, slots=True)
class Rate:
    """What a scenario asks for. Goals are milliseconds from commit to arrival; None: only told.

    `every`: seconds between the changes of one job; `poll`: the server's REELHOOK_POLL_SECONDS.
    """

    name: str
    per_second: float
    seconds: float
    p95: float
    p99: float | None = None
    every: float = 1.0
    poll: float = 0.1
    endpoints: int = 100


async def run_rate(rate: Rate) -> Figures:
    """Carry a scenario out."""
    figures = Figures(f"delivery-{rate.name}")
    videos_count, plan = feed.plan_for(rate.per_second, rate.seconds, rate.every)
    async with receiving(rate.name, rate.poll, rate.endpoints) as here:
        await tell_disk(figures, here)
        videos = await feed.make(here, videos_count)
        jobs = await feed.register(here, videos, feed.urls(here, rate.endpoints))
        watching = await watching_cores(here)
        phase = await carry_out(here, videos, plan)
        tell_load(figures, here, phase.work, phase.seconds)
        recorded = await feed.events_of(here, jobs)
        spread = Spread.of(latencies(phase.arrivals))
        judge_spread(figures, spread, rate.p95, rate.p99)
        figures.tell("largest burst in a poll interval", burst(phase.arrivals, rate.poll))
        bare = await ceiling(here, phase.arrivals)
        tell_ceiling(figures, spread, bare)
        tell_cpu(figures, phase.work.server, watching * phase.seconds, bare)
        judge_feed(figures, len(recorded), plan.events(videos_count), plan.seconds)
        judge_arrivals(figures, recorded, phase.arrivals)
    return figures
