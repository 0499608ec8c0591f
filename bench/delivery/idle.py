"""One event at a time on an idle server: to a receiver it knows, and to one it never met."""

from bench.delivery import feed
from bench.delivery.ceiling import ceiling
from bench.delivery.feed import Plan
from bench.delivery.judge import (
    judge_arrivals,
    judge_feed,
    judge_spread,
    tell_ceiling,
    tell_load,
)
from bench.delivery.latency import Spread, latencies
from bench.delivery.phase import carry_out, receiving, tell_disk
from bench.figures import Figures

EVENTS = 50
APART_SECONDS = 0.4
P95_MILLISECONDS = 25.0


async def idle() -> Figures:
    """Commit to first byte: 50 events over a connection that is kept, 50 that open their own."""
    figures = Figures("delivery-idle")
    kept = Plan(every=APART_SECONDS, count=EVENTS)
    opened = Plan(every=APART_SECONDS * EVENTS, count=1)
    async with receiving("idle", poll=0.05, endpoints=EVENTS + 1) as here:
        await tell_disk(figures, here)
        one, many = await feed.make(here, 1), await feed.make(here, EVENTS)
        known, *strangers = feed.urls(here, EVENTS + 1)
        jobs = await feed.register(here, one, [known])
        first = await carry_out(here, one, kept)
        jobs += await feed.register(here, many, strangers)
        second = await carry_out(here, many, opened)
        for phase, name in ((first, "kept connection"), (second, "new connection")):
            spread = Spread.of(latencies(phase.arrivals, "first"))
            title = f"{name}: commit to first byte"
            judge_spread(figures, spread, P95_MILLISECONDS, name=title)
            tell_ceiling(figures, spread, await ceiling(here, phase.arrivals, moment="first"))
        tell_load(figures, here, first.work, first.seconds)
        recorded = await feed.events_of(here, jobs)
        judge_feed(figures, len(recorded), 2 * EVENTS, first.seconds + second.seconds)
        judge_arrivals(figures, recorded, [*first.arrivals, *second.arrivals])
    return figures
