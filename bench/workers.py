"""Several workers on one PostgreSQL: `python -m bench.workers --kills 24`.

Under load one is killed every few seconds and started again, one is stopped, one is frozen past
its leases. Nothing may be lost, created twice or told twice in the database. Exits 1 otherwise.
"""

import argparse
import asyncio
import math
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import asyncpg

from bench import kill
from bench.databases import PostgresServer
from bench.figures import Figures, quantile
from bench.stage import RESULTS, Stage, stage
from bench.worker_acts import ACCOUNT, Act, acts_of, sender, take_overs
from bench.worker_processes import Life, Workers

TAKE_OVER_SECONDS_MAX = 5.0
HAND_OVER_SECONDS_MAX = 0.5
FROZEN_SECONDS = 6.0
"""Longer than a lease of 3 s, with the time of a take-over."""
RECEIVER_MS = 40.0
UPSTREAM_MS = 100.0
IN_FLIGHT_SECONDS = 0.5
"""How long before its end what a worker sent may not have been recorded yet."""


@dataclass(frozen=True, slots=True)
class Options:
    kills: int
    every: float
    hand_overs: int
    freezes: int
    rate: float
    patience: float
    seed: int


@dataclass(slots=True)
class Events:
    """When something was done to a worker, by its name."""

    kills: list[tuple[str, float]] = field(default_factory=list)
    stops: list[tuple[str, float]] = field(default_factory=list)
    exits: list[tuple[float, int]] = field(default_factory=list)
    freezes: list[tuple[str, float, float]] = field(default_factory=list)


async def measure(options: Options) -> Figures:
    figures = Figures("workers")
    with PostgresServer() as database:
        environment = {
            "DATABASE_URL": database.url,
            "REELHOOK_POLL_SECONDS": "0.2",
            "REELHOOK_SUBMIT_TIMEOUT_SECONDS": "3",
            "REELHOOK_SUBMIT_SETTLE_SECONDS": "7",
            "REELHOOK_RETRY_SCHEDULE": ",".join(["1s"] * 20),
        }
        async with stage("workers", environment, arguments=("serve", "--no-worker")) as here:
            workers = Workers(here.folder, {**here.server.environment, **environment})
            try:
                await _run(here, workers, options, figures, database.url)
            finally:
                workers.close()
    return figures


async def _run(
    here: Stage, workers: Workers, options: Options, figures: Figures, database: str
) -> None:
    chance = Random(options.seed)  # noqa: S311  # chooses victims, makes no keys
    await here.set_upstream(
        latency_ms=UPSTREAM_MS, finish_after_seconds=5.0, late_creates=0.5, progress_seconds=0.3
    )
    await here.set_rules({"*": {"latency_ms": RECEIVER_MS}})
    await here.server.start()
    workers.start()
    workers.start()
    load = kill.Load(
        here, kill.Options(0, options.rate, 0, 0, 0, options.seed, endpoints=16), chance
    )
    running = asyncio.create_task(load.run())
    events = Events()
    await workers.ready()
    await asyncio.sleep(3)
    for _ in range(options.kills):
        await _kill_one(workers, events, options, chance)
    for _ in range(options.hand_overs):
        await _stop_one(workers, events, options, chance)
    for _ in range(options.freezes):
        await _freeze_one(here, workers, events)
    load.stopping = True
    await running
    await kill.drain(here, figures, load)
    await kill.judge(here, figures, load)
    await _judge(here, workers, events, figures, options.patience)
    await judge_database(database, figures)


async def _kill_one(workers: Workers, events: Events, options: Options, chance: Random) -> None:
    victim = chance.choice(workers.running)
    workers.kill(victim)
    events.kills.append((victim.name, victim.ended_at or 0.0))
    later = chance.uniform(0.0, 0.4) * options.every
    await asyncio.sleep(later)
    workers.start()
    await asyncio.sleep(options.every - later)


async def _stop_one(workers: Workers, events: Events, options: Options, chance: Random) -> None:
    await workers.ready()
    await asyncio.sleep(4)  # both hold their shares again
    victim = chance.choice(workers.running)
    stopping = asyncio.create_task(workers.stop(victim))
    await asyncio.sleep(0)
    events.stops.append((victim.name, victim.ended_at or 0.0))
    events.exits.append(await stopping)
    await asyncio.sleep(1)
    workers.start()


async def _freeze_one(here: Stage, workers: Workers, events: Events) -> None:
    """Freeze whoever holds the account, so that paid calls are in question too."""
    await workers.ready()
    await asyncio.sleep(4)
    log = (await here.upstream_state())["log"]
    last = max((one for one in log if one.get("who")), key=lambda one: float(one["t"]))
    victim = next(one for one in workers.running if one.name == last["who"])
    victim.process.send_signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    await asyncio.sleep(FROZEN_SECONDS)
    woken_at = time.monotonic()
    victim.process.send_signal(signal.SIGCONT)
    events.freezes.append((victim.name, frozen_at, woken_at))
    await asyncio.sleep(3)


async def _judge(
    here: Stage, workers: Workers, events: Events, figures: Figures, patience: float
) -> None:
    arrivals = sorted(await here.arrivals(), key=lambda one: float(one["t"]))
    log = (await here.upstream_state())["log"]
    acts = acts_of(log, arrivals, workers.lives)
    figures.none("webhooks of an unknown worker", [act for act in acts if act.who == "?"])
    _judge_take_overs(
        figures, acts, events.kills, "take-over after kill -9", TAKE_OVER_SECONDS_MAX * patience
    )
    _judge_take_overs(
        figures, acts, events.stops, "hand-over after SIGTERM", HAND_OVER_SECONDS_MAX * patience
    )
    if events.exits:
        figures.tell("slowest exit after SIGTERM", f"{max(one for one, _ in events.exits):.2f} s")
        figures.none("exit codes other than 0", [code for _, code in events.exits if code])
    _judge_repeats(figures, arrivals, workers.lives, events)
    ends = [*(frozen_at for _, frozen_at, _ in events.freezes[1:]), math.inf]
    for (name, frozen_at, woken_at), end in zip(events.freezes, ends, strict=False):
        theirs = [act for act in acts if act.who == name and act.place == ACCOUNT]
        late = [act for act in theirs if woken_at < act.at < end]
        figures.tell("frozen while it held the account", f"{woken_at - frozen_at:.1f} s")
        figures.none("its requests to the provider after it woke", late)


def _judge_take_overs(
    figures: Figures,
    acts: Sequence[Act],
    ends: Sequence[tuple[str, float]],
    label: str,
    seconds_max: float,
) -> None:
    if not ends:
        return
    seconds: dict[str, list[float]] = defaultdict(list)
    for name, at in ends:
        for place, took in take_overs(acts, name, at).items():
            seconds["account" if place == ACCOUNT else "endpoint"].append(took)
    for kind, all_of_kind in sorted(seconds.items()):
        shown = ", ".join(f"{quantile(all_of_kind, q):.2f}" for q in (0.5, 0.95, 1))
        figures.tell(f"{label}, {kind}: {len(all_of_kind)} of them, p50, p95, worst", f"{shown} s")
        worst = quantile(all_of_kind, 0.99)
        figures.at_most(f"{label}, {kind}: p99", worst, seconds_max, " s")


def _judge_repeats(
    figures: Figures, arrivals: Sequence[dict[str, Any]], lives: Sequence[Life], events: Events
) -> None:
    """An event that was answered with 200 comes again only if its sender ended right then."""
    ends = [*events.kills, *((name, at) for name, at, _ in events.freezes)]
    in_flight = sum(
        1
        for one in arrivals
        for name, at in ends
        if at - IN_FLIGHT_SECONDS <= one["t"] <= at + 0.1 and sender(one, lives) == name
    )
    answered: dict[str, dict[str, Any]] = {}
    repeats, unexplained = 0, []
    for one in arrivals:
        first = answered.get(one["headers"]["webhook-id"])
        if first is not None:
            repeats += 1
            name = sender(first, lives)
            if not any(
                name == ended and at - IN_FLIGHT_SECONDS <= first["t"] <= at + 0.1
                for ended, at in ends
            ):
                again = sender(one, lives)
                unexplained.append(
                    f"{one['headers']['webhook-id']} by {name} at {first['t']:.2f},"
                    f" again by {again} at {one['t']:.2f}; ends {ends}"
                )
        if one["answer"] == 200:
            answered.setdefault(one["headers"]["webhook-id"], one)
    figures.at_most("repeats of answered webhooks, against what was in flight", repeats, in_flight)
    figures.none("repeats that no kill explains", unexplained)


async def judge_database(url: str, figures: Figures) -> None:
    connection = await asyncpg.connect(url)
    try:
        twice = await connection.fetch(
            "SELECT job_id FROM events WHERE kind = 'terminal' GROUP BY job_id HAVING count(*) > 1"
        )
        without = await connection.fetch(
            "SELECT id FROM jobs j WHERE NOT EXISTS"
            " (SELECT 1 FROM events e WHERE e.job_id = j.id AND e.kind = 'terminal')"
        )
        deadlocks = await connection.fetchval("SELECT sum(deadlocks)::int FROM pg_stat_database")
        waiting = await connection.fetchval("SELECT count(*) FROM deliveries WHERE due_at > 0")
    finally:
        await connection.close()
    figures.tell("deadlocks", deadlocks)
    figures.none("jobs with two ends in the database", twice)
    figures.none("jobs without an end in the database", without)
    figures.equal("deliveries that still wait", waiting, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--every", type=float, default=5, help="seconds between two kills")
    parser.add_argument("--hand-overs", type=int, default=6)
    parser.add_argument("--freezes", type=int, default=3)
    parser.add_argument("--rate", type=float, default=10, help="requests a second")
    parser.add_argument("--patience", type=float, default=1, help="factor of the times allowed")
    parser.add_argument("--seed", type=int, default=1)
    figures = asyncio.run(measure(Options(**vars(parser.parse_args()))))
    figures.show()
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


if __name__ == "__main__":
    main()
