"""One receiver that takes connections and never answers, beside 99 that are well."""

import asyncio
from dataclasses import dataclass, field

from bench.checks import terminal
from bench.delivery import feed
from bench.delivery.ceiling import ceiling
from bench.delivery.feed import Plan
from bench.delivery.judge import judge_arrivals, judge_feed, tell_ceiling, tell_load
from bench.delivery.latency import Spread, latencies, ratio
from bench.delivery.phase import Phase, carry_out, receiving, tell_disk
from bench.figures import Figures
from bench.stage import Stage, until

HEALTHY = 99
JOBS_PER_ENDPOINT = 5
QUEUED = 10_000
TURNS = 2
"""Without and with the hung receiver in turn, so that a noisy minute hits both."""
PLAN = Plan(every=1.0, count=20)
TIMES_MAX = 1.2
LOAD_SECONDS_MAX = 120.0
DRAIN_SECONDS_MAX = 120.0


@dataclass(slots=True)
class Course:
    """What happened, in turn."""

    well: list[Phase] = field(default_factory=list)
    beside: list[Phase] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    """What waited for the hung receiver when each phase beside it began, and when it ended."""
    jobs: list[str] = field(default_factory=list)


async def hung() -> Figures:
    """Healthy endpoints' p95 beside a hung one, over the same without it, in turn."""
    figures = Figures("delivery-hung")
    async with receiving("hung", poll=0.1, endpoints=HEALTHY + 1) as here:
        await tell_disk(figures, here)
        course = await _take_turns(here)
        _judge(figures, course)
        released = await _ends_at_the_released(here)
        figures.equal("ends of jobs at the released one", released, TURNS * QUEUED)
        both = [*course.well, *course.beside]
        bare = await ceiling(here, course.well[0].arrivals)
        tell_ceiling(figures, Spread.of(latencies(course.well[0].arrivals)), bare)
        for phase, name in ((course.well[-1], "without"), (course.beside[-1], "beside")):
            figures.tell(f"{name} the hung one:", "")
            tell_load(figures, here, phase.work, phase.seconds)
        recorded = await feed.events_of(here, course.jobs)
        events = PLAN.events(HEALTHY * JOBS_PER_ENDPOINT) * len(both)
        seconds = PLAN.seconds * len(both)
        judge_feed(figures, len(recorded), events, seconds)
        judge_arrivals(figures, recorded, [one for phase in both for one in phase.arrivals])
    return figures


async def _take_turns(here: Stage) -> Course:
    course = Course()
    queues = [await feed.make(here, QUEUED, ended=True) for _ in range(TURNS)]
    videos = await feed.make(here, HEALTHY * JOBS_PER_ENDPOINT)
    course.jobs = await feed.register(here, videos, feed.urls(here, HEALTHY, skip=1))
    for queue in queues:
        course.well.append(await carry_out(here, videos, PLAN))
        await _hang(here, queue)
        course.waiting.append(await _waiting(here))
        course.beside.append(_healthy(here, await carry_out(here, videos, PLAN)))
        course.waiting.append(await _waiting(here))
        await _release(here)
    return course


async def _hang(here: Stage, queue: list[str]) -> None:
    """Let the first receiver hang, and queue that many ends of jobs for it at one moment."""
    port = here.receivers.ports[0]
    await here.post(f"{here.receivers.url}/control/hang", {"ports": [port]})
    await here.post(f"{here.server.url}/api/watcher/pause", {})
    await feed.register(here, queue, feed.urls(here, 1))
    await here.post(f"{here.server.url}/api/watcher/resume", {})

    async def queued() -> bool:
        return await _waiting(here) >= len(queue)

    if not await until(queued, seconds=LOAD_SECONDS_MAX):
        raise RuntimeError(f"{await _waiting(here)} of {len(queue)} events wait")


async def _release(here: Stage) -> None:
    """Let the receiver answer again, and wait until it has had everything."""
    await here.post(f"{here.receivers.url}/control/hang", {"ports": []})

    async def drained() -> bool:
        return await _waiting(here) == 0

    if not await until(drained, seconds=DRAIN_SECONDS_MAX, every=1.0):
        raise RuntimeError(f"{await _waiting(here)} events still wait for the released receiver")
    await asyncio.sleep(1)


async def _ends_at_the_released(here: Stage) -> int:
    """Return how many events the first receiver has had, each counted once."""
    port = here.receivers.ports[0]
    ends = terminal(one for one in await here.arrivals() if one["port"] == port)
    return len({one["headers"]["webhook-id"] for one in ends})


async def _waiting(here: Stage) -> int:
    stats = await here.get(f"{here.server.url}/api/stats")
    count: int = stats["deliveries"]["waiting"]
    return count


def _healthy(here: Stage, phase: Phase) -> Phase:
    port = here.receivers.ports[0]
    arrivals = [one for one in phase.arrivals if one["port"] != port]
    return Phase(arrivals, phase.work, phase.seconds)


def _judge(figures: Figures, course: Course) -> None:
    shown = ", ".join(map(str, course.waiting))
    figures.tell("waiting for it at each start and end", shown)
    spreads = []
    for phases, name in ((course.well, "without"), (course.beside, "beside")):
        for phase in phases:
            alone = Spread.of(latencies(phase.arrivals))
            figures.tell(f"{name} it, p50 / p95 / p99 / worst", f"{alone} ms")
        together = [one for phase in phases for one in latencies(phase.arrivals)]
        spreads.append(Spread.of(together))
    without, beside = spreads
    figures.tell("p95 without, beside, all turns", f"{without.p95:.1f}, {beside.p95:.1f} ms")
    times = ratio(beside.p95, without.p95)
    figures.at_most("healthy p95 over the same without it", times, TIMES_MAX, "x")
    beside.keep(figures, "")
    without.keep(figures, "without_")
    figures.values["p95_over_without"] = round(times, 3)
