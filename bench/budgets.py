"""A budget of 100: exactly 100 jobs are accepted, whoever asks, and whoever is killed.

    python -m bench.budgets --rounds 20 --kills 5

With `--careless`, workers read the sums, decide, then write them; on PostgreSQL that must fail.
Then bursts of requests to a server, by a key without and one with a budget: what a budget costs.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random

from aiohttp import ClientSession, TCPConnector

from bench.budget_rounds import Rounds, be_careless, prepare
from bench.figures import Figures
from bench.processes import Server, Stub
from bench.stage import RESULTS
from bench.store_databases import KINDS, fresh
from bench.store_loads import spread
from reelhook.storage.operation import Target

PROCESSES = {"sqlite": 1, "postgresql": 3}
CLIENTS = {"sqlite": 32, "postgresql": 12}
BURST = 1000
CALLERS = 64
KEY = "the operator of the benchmark"
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
    figures.equal(
        "workers killed", f"{one.killed} of {len(fatal)}", f"{len(fatal)} of {len(fatal)}"
    )
    figures.none("rounds with another number, or sums that do not add up", one.wrong)
    return figures


async def burst(kind: str, target: Target, folder: Path, pairs: int) -> Figures:
    """Measure bursts of requests, by a key without and one with a budget in turn."""
    figures = Figures(f"budgets-burst-{kind}")
    upstream = Stub("bench.upstream")
    server = Server(folder, _environment(target, folder, upstream.url))
    try:
        await server.start()
        async with ClientSession(connector=TCPConnector(limit=CALLERS)) as session:
            keys = [await _key(session, server.url, name) for name in ("free", "limited")]
            path = f"{server.url}/api/keys/{keys[1]['id']}/budgets"
            limits = {"moneyPerDay": {"USD": 10**6}, "jobsPerDay": 10**6, "jobsInFlight": 10**6}
            async with session.put(path, json=limits, headers=_with(KEY)) as answer:
                answer.raise_for_status()
            took = await _pairs(session, server.url, [key["key"] for key in keys], pairs)
    finally:
        server.kill()
        upstream.close()
    free, limited = (statistics.median(seconds) for seconds in took)
    ratios = [after / before for before, after in zip(*took, strict=True)]
    figures.tell("requests a second without a budget", round(BURST / free))
    figures.tell("requests a second with one", round(BURST / limited))
    figures.at_most("with a budget, times without", statistics.median(ratios), RATIO_MAX)
    return figures


def _environment(target: Target, folder: Path, upstream: str) -> dict[str, str]:
    accounts = folder / "accounts.toml"
    accounts.parent.mkdir(parents=True, exist_ok=True)
    # One job at a time, so that the burst has the machine to itself.
    accounts.write_text(
        f'[accounts.bench]\nprovider = "openai"\nbase_url = "{upstream}/v1"\nkey = "k"\n'
        'jobs_max = 1\n[prices."openai/*"]\nper_video = 0.37\n'
    )
    place = (
        {"REELHOOK_DATA_DIR": str(target.parent)}
        if isinstance(target, Path)
        else {"DATABASE_URL": target}
    )
    return {"REELHOOK_ACCOUNTS_FILE": str(accounts), "REELHOOK_API_KEY": KEY, **place}


def _with(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _key(session: ClientSession, url: str, name: str) -> dict[str, str]:
    body = {"name": name, "scopes": ["submit"]}
    async with session.post(f"{url}/api/keys", json=body, headers=_with(KEY)) as answer:
        answer.raise_for_status()
        found: dict[str, str] = await answer.json()
        return found


async def _pairs(
    session: ClientSession, url: str, keys: list[str], pairs: int
) -> tuple[list[float], ...]:
    took: tuple[list[float], ...] = ([], [])
    for number in range(pairs + 1):
        for place in (0, 1) if number % 2 else (1, 0):
            started = time.monotonic()
            submit = partial(_submit, session, url, _with(keys[place]))
            await spread([submit] * BURST, CALLERS)
            if number:  # the first pair warms up
                took[place].append(time.monotonic() - started)
    return took


async def _submit(session: ClientSession, url: str, headers: dict[str, str]) -> None:
    body = {"script": "A cat in the rain", "model": "sora-2"}
    async with session.post(f"{url}/api/generate", json=body, headers=headers) as answer:
        answer.raise_for_status()
        await answer.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="on each database")
    parser.add_argument("--kills", type=int, default=50, help="rounds in which a worker dies")
    parser.add_argument("--pairs", type=int, default=7, help="bursts with and without a budget")
    parser.add_argument("--database", choices=KINDS, help="this one alone")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--careless", action="store_true", help="workers with a known fault: must fail"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    reached = True
    if options.careless:
        be_careless()
    for kind in [options.database] if options.database else KINDS:
        with fresh(kind, None) as target:
            found = []
            if options.rounds:
                found.append(play(kind, target, options.rounds, options.kills, options.seed))
            if options.pairs:
                folder = options.results / f"budgets-burst-{kind}"
                found.append(asyncio.run(burst(kind, target, folder, options.pairs)))
        for figures in found:
            figures.show()
            figures.write(options.results)
            reached = reached and figures.reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
