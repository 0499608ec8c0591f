"""`kill -9` at each named failpoint of delivering, and restart: `python -m bench.crash`.

Afterwards nothing may be lost, told twice as two things, or out of order, and a kill may have cost
one duplicate per delivery in flight at most. Exits 1 otherwise, and says how to repeat the run.
"""

import argparse
import contextlib
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from bench.crash.evidence import Ears
from bench.crash.known_faults import Fault
from bench.crash.plan import Failpoint, Plan, plan
from bench.crash.trial import Trial, carry_out
from bench.crash.worker import SECRET
from bench.stage import RESULTS
from reelhook.storage.schema.migrate import migrate

RUNS_PER_RECEIVER = 100
"""The receivers keep what arrived in memory, so now and then they start anew."""
SECONDS_PER_RUN_MAX = 5.0
START_SECONDS_MAX = 60.0
COLUMNS = ("runs", "kills", "lost", "in flight", "duplicates", "worst", "violations", "seconds")


def plans(runs: int, failpoints: Sequence[Failpoint], seed: int) -> Iterator[Plan]:
    """The failpoints take turns; each run has a seed of its own."""
    for number in range(runs):
        yield plan(seed + number, failpoints[number % len(failpoints)])


def empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        migrate(path)
        return path.read_bytes()


def run_all(chosen: Iterator[Plan], folder: Path, seed: int, fault: Fault | None) -> list[Trial]:
    """Carry out one plan after another; what went wrong is printed as it happens."""
    database = empty_database()
    gc.freeze()  # what is here already is shared with every worker that is forked from here
    trials: list[Trial] = []
    while some := list(islice(chosen, RUNS_PER_RECEIVER)):
        with contextlib.closing(Ears(SECRET, seed)) as ears:
            for one in some:
                trials.append(carry_out(one, folder, database, ears, fault))
                _tell(trials)
    return trials


def _tell(trials: Sequence[Trial]) -> None:
    last = trials[-1]
    for violation in last.verdict.violations[:5]:
        print(f"  {last.plan.failpoint} {last.plan.seed}: {violation[:300]}")
    if last.verdict.violations:
        print(f"  kills: {last.plan.kills}\n  again: {last.plan.command}", flush=True)
    if len(trials) % 50 == 0:
        wrong = sum(bool(one.verdict.violations) for one in trials)
        print(f"{len(trials)} runs, {wrong} of them with violations", flush=True)


def table(trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """Sum up by failpoint, and in all. Kills count where they happened, runs where they began."""
    rows = {
        str(point): _row([one for one in trials if one.plan.failpoint is point], trials, point)
        for point in Failpoint
    }
    rows["all"] = _row(trials, trials, None)
    return rows


def _row(
    trials: Sequence[Trial], every: Sequence[Trial], point: Failpoint | None
) -> dict[str, float]:
    verdicts = [one.verdict for one in trials]
    kills = [kill for one in every for kill in one.kills]
    return {
        "runs": len(trials),
        "kills": len(kills) if point is None else kills.count(point),
        "lost": sum(one.lost for one in verdicts),
        "in flight": sum(one.in_flight for one in verdicts),
        "duplicates": sum(one.duplicates for one in verdicts),
        "worst": max((one.worst for one in verdicts), default=0),
        "violations": sum(bool(one.violations) for one in verdicts),
        "seconds": round(sum(one.seconds for one in trials), 1),
    }


def show(rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{'failpoint':<18}" + "".join(f"{name:>12}" for name in COLUMNS))
    for name, row in rows.items():
        if row["runs"]:
            print(f"{name:<18}" + "".join(f"{row[column]:>12}" for column in COLUMNS))
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--failpoint", type=Failpoint, choices=list(Failpoint), metavar="X")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--fault", type=Fault, choices=list(Fault), help="a worker with a known fault: must fail"
    )
    options = parser.parse_args()
    failpoints = [options.failpoint] if options.failpoint else list(Failpoint)
    end = time.monotonic() + START_SECONDS_MAX + SECONDS_PER_RUN_MAX * options.runs
    chosen = (
        one for one in plans(options.runs, failpoints, options.seed) if time.monotonic() < end
    )
    trials = run_all(chosen, options.results / "crash", options.seed, options.fault)
    rows = table(trials)
    show(rows)
    failed = [one for one in trials if one.verdict.violations]
    sound = not failed and len(trials) == options.runs
    _write(options.results, rows, failed, sound=sound)
    sys.exit(0 if sound else 1)


def _write(
    folder: Path, rows: dict[str, dict[str, float]], failed: Sequence[Trial], *, sound: bool
) -> None:
    content = {
        "scenario": "crash",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reached": sound,
        "failpoints": rows,
        "failed": [
            {"again": one.plan.command, "violations": one.verdict.violations[:20]}
            for one in failed[:20]
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "crash.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
