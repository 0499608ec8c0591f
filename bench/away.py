"""PostgreSQL is away under load: `python -m bench.away away restart hang failover full`.

One process serves, two work. The database is stopped, restarted, frozen, replaced by its standby
after a SIGKILL, or on a disk that is full. Nothing may be taken that is not kept, nothing lost,
nothing created twice, and nobody may hang. Exits 1 otherwise.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import psutil  # type: ignore[import-untyped]  # psutil ships no types

from bench import kill
from bench.away_acts import ACTS, Run
from bench.away_load import Answer, Load, between
from bench.clusters import Cluster, cluster, may_mount, standby
from bench.figures import Figures, quantile
from bench.stage import RESULTS, Stage, stage
from bench.worker_processes import Workers
from bench.workers import judge_database

ANSWER_SECONDS_MAX = {"hang": 8.0}
"""How long an answer may take meanwhile: where connections stand and nothing answers it is time
that tells."""
REFUSAL_SECONDS_MAX = 2.0
UNKNOWN_SECONDS_MAX = 13.0
"""3 s to begin, 4 s to be written, 6 s to find out what became of that."""
BACK_SECONDS_MAX = 5.0
GRACE_SECONDS = 0.3
"""What was sent before its end may be answered that long after it."""
DISK_MIB = 96


@dataclass(frozen=True, slots=True)
class Options:
    scenarios: tuple[str, ...]
    seconds: float
    rate: float
    calm: float
    patience: float
    seed: int


async def measure(name: str, options: Options) -> Figures:
    figures = Figures(f"away-{name}")
    figures.tell("load of the machine at the start", f"{psutil.getloadavg()[0]:.1f}")
    with _servers(name) as (server, follower):
        environment = {
            "DATABASE_URL": _url(server, follower),
            "REELHOOK_POLL_SECONDS": "0.5",
            "REELHOOK_SUBMIT_TIMEOUT_SECONDS": "3",
            "REELHOOK_SUBMIT_SETTLE_SECONDS": "7",
            "REELHOOK_RETRY_SCHEDULE": ",".join(["1s"] * 20),
        }
        async with stage(f"away-{name}", environment, arguments=("serve", "--no-worker")) as here:
            workers = Workers(here.folder, {**here.server.environment, **environment})
            run = Run(
                *(here, workers, _load(here, options), figures, server, follower),
                options.seconds,
                options.calm,
                options.patience,
            )
            try:
                await _run(run, name, options)
            finally:
                workers.close()
    return figures


def _load(here: Stage, options: Options) -> Load:
    kinds = kill.Options(0, options.rate, 0, 0, 0, options.seed, endpoints=16)
    chance = Random(options.seed)  # noqa: S311  # chooses moments, makes no keys
    return Load(here, kinds, chance, wait_seconds_max=min(30.0, options.seconds / 4))


@contextmanager
def _servers(name: str) -> Iterator[tuple[Cluster, Cluster | None]]:
    with cluster(disk_mib=DISK_MIB if name == "full" else None) as server:
        if name == "failover":
            with standby(server) as follower:
                yield server, follower
        else:
            yield server, None


def _url(server: Cluster, follower: Cluster | None) -> str:
    hosts = [f"127.0.0.1:{one.port}" for one in (follower, server) if one]
    return f"postgresql://postgres@{','.join(hosts)}/postgres"


async def _run(run: Run, name: str, options: Options) -> None:
    here, load, figures = run.here, run.load, run.figures
    await here.set_upstream(
        latency_ms=100, finish_after_seconds=2.0, late_creates=0.5, progress_seconds=0.5
    )
    await here.set_rules({"*": {"latency_ms": 20}})
    await here.server.start()
    for _ in range(2):
        run.workers.start()
    await run.workers.ready()
    running, looking = asyncio.create_task(load.run()), asyncio.create_task(load.look())
    await asyncio.sleep(options.calm)
    await ACTS[name](run)
    await asyncio.sleep(options.calm)
    load.stopping = True
    await running
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    _judge_answers(run, ANSWER_SECONDS_MAX.get(name, REFUSAL_SECONDS_MAX) * options.patience)
    await _judge_return(run, BACK_SECONDS_MAX * options.patience)
    figures.equal("the server that serves is still the same process", here.server.running, True)
    alive = [one for one in run.workers.running if one.process.poll() is None]
    figures.equal("workers that are still the same processes", len(alive), 2)
    await kill.drain(here, figures, load, options.calm)
    await kill.judge(here, figures, load)
    await judge_database(run.survivor.url, figures)


def _judge_answers(run: Run, seconds_max: float) -> None:
    figures, load = run.figures, run.load
    refused = [one for one in load.answers if one.status == 503]
    figures.tell("posts that were answered 503", len(refused))
    figures.none("503 without Retry-After", [one for one in refused if not one.retry_after])
    # Caught while their COMMIT was under way; 500s of any other kind are among the refusals.
    unknown = [one.seconds for one in load.answers if one.status == 500]
    figures.tell("posts of which it was not known whether they were taken", len(unknown))
    longest = UNKNOWN_SECONDS_MAX * run.patience
    figures.at_most("slowest answer to one of these", max(unknown, default=0), longest, " s")
    lost = [one for one in (*load.answers, *load.looks) if one.status not in {200, 500, 503}]
    figures.none("posts and looks that were answered otherwise, or not at all", lost)
    for label, answers in (("post", load.answers), ("/readyz", load.looks)):
        took = [one.seconds for one in answers if one.status != 500]
        shown = ", ".join(f"{quantile(took, q):.3f}" for q in (0.5, 0.99))
        figures.tell(f"answers to {label}, {len(took)} of them, p50, p99", f"{shown} s")
        figures.at_most(f"slowest answer to {label}", max(took), seconds_max, " s")
    for gone_at, back_at in run.away:
        figures.tell("away for", f"{back_at - gone_at:.1f} s")
        meanwhile = between(load.answers, gone_at + GRACE_SECONDS, back_at)
        taken = [one for one in meanwhile if one.status == 200]
        figures.none(f"of {len(meanwhile)} posts meanwhile taken", taken)


async def _judge_return(run: Run, seconds_max: float) -> None:
    """Judge how soon all goes on once the database takes connections again."""
    arrivals = [float(one["t"]) for one in await run.here.arrivals()]
    for _, back_at in run.away:
        ready = _first(run.load.looks, back_at)
        figures_of = run.figures
        figures_of.at_most("back until /readyz says so", ready - back_at, seconds_max, " s")
        told = min((one for one in arrivals if one > back_at), default=float("nan"))
        figures_of.at_most("back until the next webhook", told - back_at, 2 * seconds_max, " s")


def _first(looks: Sequence[Answer], since: float) -> float:
    return min(
        (one.at for one in looks if one.at > since and one.status == 200), default=float("nan")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", default=[], choices=[[], *ACTS], help="default: all"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long it is away")
    parser.add_argument("--rate", type=float, default=4, help="requests a second")
    parser.add_argument("--calm", type=float, default=5, help="seconds before and after")
    parser.add_argument("--patience", type=float, default=1, help="factor of the times allowed")
    parser.add_argument("--seed", type=int, default=1)
    given = vars(parser.parse_args())
    options = Options(tuple(given.pop("scenarios") or ACTS), **given)
    reached = True
    for name in options.scenarios:
        if name == "full" and not may_mount():
            print("full is left out: this machine mounts no disk for us (root and tmpfs)")
            continue
        started = time.monotonic()
        figures = asyncio.run(measure(name, options))
        figures.tell("took", f"{time.monotonic() - started:.0f} s")
        figures.show()
        figures.write(RESULTS)
        reached = reached and figures.reached
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
