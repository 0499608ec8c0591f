"""Delivering webhooks, measured from outside: `python -m bench.delivery [SCENARIO ...]`.

Prints a table for each scenario, writes `bench/results/delivery-SCENARIO.json` and exits 1 when a
figure is missed. Without a name all run, which takes some 15 minutes.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bench.delivery.chain import chain
from bench.delivery.hung import hung
from bench.delivery.idle import idle
from bench.delivery.rates import Rate, run_rate
from bench.delivery.summary import table, write
from bench.figures import Figures
from bench.main_job import run
from bench.stage import RESULTS

SECONDS_MAX = 900.0
RATES = (
    Rate("steady-100", 100, 30, p95=100, p99=250, poll=0.05),
    Rate("burst-500", 500, 60, p95=250),
    Rate("burst-1000", 1000, 60, p95=500, poll=0.2),
)


def scenarios(seconds: float | None) -> dict[str, Callable[[], Awaitable[Figures]]]:
    rates = {
        rate.name: partial(run_rate, replace(rate, seconds=seconds or rate.seconds))
        for rate in RATES
    }
    return {**rates, "idle": idle, "hung": hung, "chain": chain}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(scenarios(None))}")
    parser.add_argument(
        "--seconds", type=float, help="how long each rate is held, for a first look"
    )
    options = parser.parse_args()
    known = scenarios(options.seconds)
    names = options.scenario or list(known)
    if unknown := set(names) - set(known):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    done = [
        asyncio.run(run(f"delivery-{name}", known[name], seconds_max=SECONDS_MAX)) for name in names
    ]
    print(table(done))
    write(done, RESULTS)
    sys.exit(0 if all(figures.reached for figures in done) else 1)


if __name__ == "__main__":
    main()
