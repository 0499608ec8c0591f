"""The main job, measured from outside: `python -m bench.main_job SCENARIO`.

Prints a table, writes `bench/results/SCENARIO.json` and exits 1 when a figure is missed.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from bench.figures import Figures
from bench.life import creation, process
from bench.recovery import faults, lost
from bench.stage import RESULTS
from bench.waves import Wave, run_waves

SECONDS_MAX = 400.0
"""No scenario may take longer; then it counts as missed."""

WAVES = (
    Wave("hundred", 100, seconds_max=5.5, reads_max=3),
    Wave("thousand", 1000, seconds_max=6.0, reads_max=12),
    Wave("unlisted", 100, seconds_max=6.5, reads_max=None, listing="refused"),
    Wave("silent", 100, seconds_max=5.5, reads_max=3, silent=17),
)


def scenarios() -> dict[str, Callable[[], Awaitable[Figures]]]:
    found: dict[str, Callable[[], Awaitable[Figures]]] = {
        wave.name: partial(run_waves, wave) for wave in WAVES
    }
    found["faults"] = partial(faults, shared=False)
    found["faults-shared"] = partial(faults, shared=True)
    found["lost"] = partial(lost, listing="refused")
    found["lost-listed"] = partial(lost, listing="ok")
    found["process"] = process
    found["creation"] = creation
    return found


async def run(
    name: str, scenario: Callable[[], Awaitable[Figures]], seconds_max: float = SECONDS_MAX
) -> Figures:
    """Carry a scenario out, show its figures and write them."""
    try:
        async with asyncio.timeout(seconds_max):
            figures = await scenario()
    except Exception as error:
        # Whatever breaks a scenario is a missed figure, and the next scenario still runs.
        figures = Figures(name)
        figures.equal("the scenario runs to its end", f"{type(error).__name__}: {error}", "yes")
    figures.show()
    figures.write(RESULTS)
    return figures


def main() -> None:
    known = scenarios()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=[*known, "all"])
    asked = parser.parse_args().scenario
    names = list(known) if "all" in asked else asked
    reached = [asyncio.run(run(name, known[name])).reached for name in names]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
