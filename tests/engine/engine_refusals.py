"""Many jobs with many steps at receivers that refuse a share of all requests.

As a script it runs any size: `python tests/engine/engine_refusals.py JOBS STEPS`.
"""

import asyncio
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from aiohttp import web
from engine_delivering import DELIVER_ALONE, tell_all
from engine_stage import Engine, Stage, stage

REFUSED_SHARE = 0.3
POLL_SECONDS = 5
# What waits of a delivery: neither superseded nor given up, and not arrived yet.
_WAITING = """
SELECT count(*), max((d.status_sequence IS NOT NULL) + (d.progress_sequence IS NOT NULL)),
  sum((d.status_sequence IS NOT NULL) + (d.progress_sequence IS NOT NULL) <> (
    SELECT count(*) FROM events e WHERE e.job_id = d.job_id
    AND NOT EXISTS (SELECT 1 FROM undelivered u
      WHERE u.delivery_id = d.id AND u.sequence = e.sequence)
    AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = d.id
      AND a.sequence = e.sequence AND a.http_status BETWEEN 200 AND 299)))
FROM deliveries d
"""


@dataclass
class Seen:
    """What the receivers and the database showed."""

    requests: int
    refused: int
    falls: int
    """Events that arrived first after a later one of their job had."""
    endings: list[int]
    """How many ids each job's ending had."""
    in_flight_max: int
    waiting_max: int
    unexplained: int
    """Deliveries of which an event was neither kept, nor sent, nor known to be dropped."""
    left: int


async def run(folder: Path, jobs: int, steps: int, *, endpoints: int, seed: int = 5) -> Seen:
    """Tell `steps` steps of progress of each job and its end, and let time pass as it does."""
    names = [f"job_{number}" for number in range(jobs)]
    chance, refused = Random(seed), 0

    async def refuses_some(_: web.Request) -> web.StreamResponse:
        nonlocal refused
        await asyncio.sleep(chance.random() / 1000)
        refusal = chance.random() < REFUSED_SHARE
        refused += refusal
        return web.Response(status=503 if refusal else 204)

    async with stage(folder, loops=DELIVER_ALONE) as here, here.engine() as engine:
        for number in range(endpoints):
            here.receivers.manners[f"/hook_{number}"] = refuses_some
            await engine.register(names[number::endpoints], f"{here.receivers.url}/hook_{number}")
        waiting_max, unexplained = await _tell(here, engine, names, steps)
        # Longer than any wait at this share of refusals: the last of many retries.
        for _ in range(200):
            await engine.pass_time(600)
            if not await engine.store.deliveries_waiting():
                break
        left = await engine.store.deliveries_waiting()
        unexplained += _waiting(here)[1]
        return Seen(
            len(here.receivers.webhooks),
            refused,
            *_order(here),
            here.receivers.in_flight_max,
            waiting_max,
            unexplained,
            left,
        )


async def _tell(here: Stage, engine: Engine, names: list[str], steps: int) -> tuple[int, int]:
    waiting_max = unexplained = 0
    for step in range(1, steps + 1):
        await tell_all(engine, names, 99 * step // steps)
        if step % max(1, steps // 10) == 0:
            most, unknown = _waiting(here)
            waiting_max, unexplained = max(waiting_max, most), unexplained + unknown
        await engine.pass_time(POLL_SECONDS)
    await tell_all(engine, names, "completed")
    return waiting_max, unexplained


def _waiting(here: Stage) -> tuple[int, int]:
    ((_, most, unexplained),) = here.query(_WAITING)
    return most, unexplained


def _order(here: Stage) -> tuple[int, list[int]]:
    """Return how often a first delivery came out of turn, and the ids of endings per job."""
    latest: dict[str, int] = defaultdict(int)
    endings: dict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    falls = 0
    for one in here.receivers.webhooks:
        job = one.body["jobId"]
        if one.id not in seen:
            seen.add(one.id)
            falls += one.body["sequence"] < latest[job]
            latest[job] = one.body["sequence"]
        if one.ends:
            endings[job].add(one.id)
    return falls, [len(ids) for ids in endings.values()]


def main() -> None:
    jobs, steps = (int(argument) for argument in sys.argv[1:3])
    started = time.monotonic()
    with TemporaryDirectory() as folder:
        seen = asyncio.run(run(Path(folder), jobs, steps, endpoints=max(1, jobs // 20)))
    endings = f"{len(seen.endings)} jobs, at most {max(seen.endings)} id each"
    shown = [f"{name}: {value}" for name, value in vars(seen).items() if name != "endings"]
    sys.stdout.write("\n".join([*shown, f"endings: {endings}", ""]))
    sys.stdout.write(f"seconds: {time.monotonic() - started:.0f}\n")


if __name__ == "__main__":
    main()
