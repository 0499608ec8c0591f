"""Paid calls that go wrong, and workers that are killed meanwhile: `python -m bench.paying`.

Every adapter, over HTTP, in the real engine. Afterwards no job may have been created twice, and
each must have ended: completed, or `submission_unknown` where its provider lists nothing by which
it could be found. Exits 1 otherwise.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain, count, repeat
from pathlib import Path

from bench.clusters import Cluster, cluster
from bench.figures import Figures
from bench.paying.act import Plan, carry_out
from bench.paying.listings import Listing
from bench.paying.verdict import COLUMNS, Verdict
from bench.processes import Stub
from bench.stage import RESULTS
from reelhook.storage.postgres import driver as postgres

SECONDS_MAX = 3600.0


def play(options: argparse.Namespace) -> Verdict:
    """Play acts until there were as many kills and faults as are wanted, one per kind of listing.

    They alternate between the databases.
    """
    gc.freeze()  # what is here already is shared with every worker that is forked from here
    verdict = Verdict()
    end = time.monotonic() + SECONDS_MAX
    seed = options.seed
    kinds = list(Listing) if options.listing is None else [Listing(options.listing)]
    with _databases(options) as databases:
        while (
            verdict.kills < options.kills
            or verdict.faults < options.faults
            or seed - options.seed < (len(kinds) if options.every_listing else 0)
        ):
            if time.monotonic() > end:
                verdict.violations.append(f"not done within {SECONDS_MAX:g} s")
                break
            number = seed - options.seed
            _act(options, verdict, seed, kinds[number % len(kinds)], next(databases))
            seed += 1
    return verdict


def _act(
    options: argparse.Namespace, verdict: Verdict, seed: int, kind: Listing, url: str | None
) -> None:
    kills = min(options.kills_per_act, max(0, options.kills - verdict.kills))
    plan = Plan(
        seed, options.jobs, kills, options.rate, options.careless, kind, url, options.commits
    )
    wrong = verdict.add(carry_out(plan, options.results / "paying" / str(seed)))
    for one in wrong[:5]:
        print(f"  seed {seed}: {one[:300]}", flush=True)
    on = "SQLite" if url is None else "PostgreSQL"
    told = f"{kind}, on {on}: {verdict.kills} kills, {verdict.faults} faults"
    print(f"seed {seed}, {told}", flush=True)


@contextmanager
def _databases(options: argparse.Namespace) -> Iterator[Iterator[str | None]]:
    """Tell each act its database: a new one of PostgreSQL's, or None for a file of its own.

    PostgreSQL's are reached by a proxy, which loses responses to COMMIT.
    """
    if options.database == "sqlite":
        yield repeat(None)
        return
    with cluster() as server, closing(_proxy(server, options)) as proxy:
        new = (_database(server, proxy, number) for number in count())
        yield (
            new if options.database == "postgresql" else chain.from_iterable(zip(repeat(None), new))
        )


def _proxy(server: Cluster, options: argparse.Namespace) -> Stub:
    share, seed = str(options.commits), str(options.seed)
    return Stub("bench.lossy_postgres", "--to", str(server.port), "--share", share, "--seed", seed)


def _database(server: Cluster, proxy: Stub, number: int) -> str:
    name = f"act_{number}"
    asyncio.run(_create(server.url, name))
    return f"postgresql://postgres@127.0.0.1:{proxy.ports[0]}/{name}?sslmode=disable"


async def _create(server_url: str, name: str) -> None:
    connection = await postgres.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


def show(verdict: Verdict) -> None:
    print(f"\n{'provider':<12}" + "".join(f"{name:>14}" for name in COLUMNS))
    for provider, row in verdict.rows.items():
        print(f"{provider:<12}" + "".join(f"{row[name]:>14}" for name in COLUMNS))
    every = {name: sum(row[name] for row in verdict.rows.values()) for name in COLUMNS}
    print(f"{'all':<12}" + "".join(f"{every[name]:>14}" for name in COLUMNS))
    print(f"\n{'listing of OpenAI and Replicate':<34}{'jobs':>8}{'unknown':>10}{'share':>9}")
    for kind, row in verdict.listings.items():
        print(f"{kind:<34}{row['jobs']:>8}{row['unknown']:>10}{row['unknown'] / row['jobs']:>9.1%}")


def figures(verdict: Verdict, options: argparse.Namespace) -> Figures:
    told = Figures("paying")
    told.at_least("workers killed", verdict.kills, options.kills)
    told.at_least("creates that went wrong", verdict.faults, options.faults)
    told.tell("paid calls under way at kills", _sum(verdict, "cut off"))
    told.tell("jobs whose image was being fetched at kills", _sum(verdict, "fetching"))
    told.tell("fetches of images that went wrong", verdict.images_struck)
    for name in ("created twice", "lost", "wrong end"):
        told.equal(name, _sum(verdict, name), 0)
    honest = [row["unknown"] for kind, row in verdict.listings.items() if Listing(kind).honest]
    told.equal("unknown on honest listings", sum(honest), 0)
    told.none("violations", verdict.violations)
    told.details["listings"] = [f"{kind}: {dict(row)}" for kind, row in verdict.listings.items()]
    told.details["providers"] = [f"{name}: {dict(row)}" for name, row in verdict.rows.items()]
    return told


def _sum(verdict: Verdict, name: str) -> int:
    return sum(row[name] for row in verdict.rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.paying", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="of workers, at least")
    parser.add_argument("--faults", type=int, default=1000, help="of creates, at least")
    parser.add_argument("--kills-per-act", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=40, help="of each provider, in an act")
    parser.add_argument("--rate", type=float, default=0.5, help="of creates that go wrong")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--listing", choices=list(Listing), help="this kind alone")
    parser.add_argument(
        "--every-listing", action="store_true", help="go on until each kind was played"
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument(
        "--commits", type=float, default=0.01, help="of responses to COMMIT that are lost, 0 to 1"
    )
    parser.add_argument(
        "--careless", action="store_true", help="workers with a known fault: must fail"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    verdict = play(options)
    show(verdict)
    told = figures(verdict, options)
    told.show()
    told.write(options.results)
    sys.exit(0 if told.reached else 1)


if __name__ == "__main__":
    main()
