"""The bare client's share of a run: what reelhook sent, sent again by aiohttp alone."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.checks import Arrival
from bench.delivery.feed import all_arrived, arrived
from bench.delivery.latency import commit_of
from bench.processes import ROOT
from bench.stage import SECRET, Stage

GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Milliseconds from the moment a request was due to its arrival, and CPU seconds of it all."""

    latencies: list[float]
    cpu_seconds: float
    failed: int


def posts(arrivals: Sequence[Arrival]) -> list[tuple[float, str, str, str]]:
    """Return (due, URL, id, body) of each, due as long after the first as it was committed."""
    by_commit = sorted(arrivals, key=commit_of)
    start = commit_of(by_commit[0])
    return [
        (
            commit_of(one) - start,
            f"http://127.0.0.1:{one['port']}{one['path']}",
            one["headers"]["webhook-id"],
            one["body"],
        )
        for one in by_commit
    ]


async def ceiling(
    here: Stage, arrivals: Sequence[Arrival], *, moment: str = "clock", signed: bool = True
) -> Ceiling:
    """Send the same again, to the same receivers at the same pace.

    `moment`: `clock`, the last byte of a request, or `first`, its first one.
    """
    planned = posts(arrivals)
    plan = here.folder / "plan.json"
    plan.write_text(json.dumps(planned))
    before = await arrived(here)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.delivery.bare", str(plan), "--secret", SECRET),
        *(() if signed else ("--unsigned",)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the bare client ended with {process.returncode}")
    outcome = json.loads(said)
    await all_arrived(here, before + len(planned), seconds=GRACE_SECONDS)
    due = {name: outcome["start"] + moment for moment, _, name, _ in planned}
    latencies = [
        (one[moment] - due[one["headers"]["webhook-id"]]) * 1000
        for one in await here.arrivals(before)
    ]
    return Ceiling(latencies, outcome["cpu_seconds"], outcome["failed"])
