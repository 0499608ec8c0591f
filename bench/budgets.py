"""A budget of 100: exactly 100 jobs are accepted, whoever asks, and whoever is killed.

    python -m bench.budgets --rounds 20 --kills 5

Then a burst of creates with and without a budget, in turn: what a budget costs.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from bench.budget_rounds import PRICE, URL, Rounds, prepare
from bench.figures import Figures
from bench.processes import ROOT
from bench.store_databases import KINDS, fresh, open_store
from bench.store_loads import new, now, spread
from reelhook.domain.budget import Limits, project_owner
from reelhook.domain.reservation import bill_of
from reelhook.storage.operation import Target
from reelhook.storage.store import Store

RESULTS = ROOT / "bench" / "results"
PROCESSES = {"sqlite": 1, "postgresql": 3}
CLIENTS = {"sqlite": 32, "postgresql": 12}
BURST = 1000
CALLERS = 256
RATIO_MAX = 1.3


def play(kind: str, target: Target, rounds: int, kills: int, seed: int) -> Figures:
    """Play rounds, some of them with kills."""
    figures = Figures(f"budgets-{kind}")
    chance = Random(seed)  # noqa: S311  # chooses moments, makes no keys
    with tempfile.TemporaryDirectory(prefix="reelhook-budgets-") as name:
        one = Rounds(target, Path(name), PROCESSES[kind], CLIENTS[kind], chance)
        one.run_alone(partial(prepare, target, range(rounds)))
        fatal = set(chance.sample(range(rounds), min(rounds, kills)))
        for number in range(rounds):
            one.play(number, kill=number in fatal)
    figures.tell("rounds, each of 100 jobs", rounds)
    figures.tell("workers killed", one.killed)
    figures.none("rounds with another number, or sums that do not add up", one.wrong)
    return figures


async def burst(kind: str, target: Target, pairs: int) -> Figures:
    """Measure bursts of creates, without and with a budget of project and key in turn."""
    figures = Figures(f"budgets-burst-{kind}")
    async with open_store(target) as database:
        store = Store(database)
        limits = Limits(jobs_per_day=10**9, jobs_in_flight=10**9, money_per_day={"USD": 10**15})
        await store.set_budget(project_owner("limited"), limits, now(), bill_of)
        seconds: dict[str, list[float]] = {"free": [], "limited": []}
        for number in range(pairs + 1):
            for project, took in seconds.items():
                started = time.monotonic()
                await _create(store, project, f"{kind}_{project}_{number}")
                if number:  # the first pair warms up
                    took.append(time.monotonic() - started)
    free, limited = (statistics.median(took) for took in seconds.values())
    ratios = [b / a for a, b in zip(seconds["free"], seconds["limited"], strict=True)]
    figures.tell("creates a second without a budget", round(BURST / free))
    figures.tell("creates a second with one", round(BURST / limited))
    figures.at_most("with a budget, times without", statistics.median(ratios), RATIO_MAX)
    return figures


async def _create(store: Store, project: str, name: str) -> None:
    at = now()
    made = [new(f"{name}_{number}", URL, at) for number in range(BURST)]
    jobs = [replace(one, job=replace(one.job, project=project), prices=(PRICE,)) for one in made]
    await spread([partial(store.create, one) for one in jobs], CALLERS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="on each database")
    parser.add_argument("--kills", type=int, default=50, help="rounds in which workers die")
    parser.add_argument("--pairs", type=int, default=7, help="bursts with and without a budget")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    reached = True
    for kind in KINDS:
        with fresh(kind, None) as target:
            found = []
            if options.rounds:
                found.append(play(kind, target, options.rounds, options.kills, options.seed))
            if options.pairs:
                found.append(asyncio.run(burst(kind, target, options.pairs)))
        for figures in found:
            figures.show()
            figures.write(RESULTS)
            reached = reached and figures.reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
