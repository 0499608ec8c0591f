"""One run: workers on one database, killed one after another; then the judgement."""

import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bench.crash.evidence import Arrival, Ears, Remains, read_facts, read_remains
from bench.crash.known_faults import Fault
from bench.crash.plan import Failpoint, Plan
from bench.crash.verdict import Evidence, Verdict, judge
from bench.crash.worker import DATABASE, LOG, TOLD, Life, start
from bench.crash.workload import Workload


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a run."""

    plan: Plan
    kills: tuple[Failpoint, ...]
    seconds: float
    verdict: Verdict


def carry_out(
    plan: Plan, folder: Path, database: bytes, ears: Ears, fault: Fault | None = None
) -> Trial:
    """Run a plan on a copy of an empty database. The folder stays only if something is wrong."""
    started = time.monotonic()
    name = f"{plan.failpoint}-{plan.seed}"
    folder = folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / DATABASE).write_bytes(database)
    work = Workload(name, f"{ears.url}/{name}")
    kills: list[Failpoint] = []
    remains: dict[int, Remains] = {}
    arrivals: list[Arrival] = []
    troubles: list[str] = []
    for number, kill in enumerate((*plan.kills, None), start=1):
        life = Life(number, folder, work, kill, plan.seed, plan.resending, fault)
        status = _end_of(start(life))
        arrivals += ears.news()
        if status != -signal.SIGKILL or kill is None:
            if status != 0:
                troubles.append(f"worker {number} ended by itself: {status}")
            break
        kills.append(kill.point)
        remains[number] = read_remains(folder / DATABASE, _lines(folder / TOLD))
    facts = read_facts(folder / DATABASE)
    verdict = judge(Evidence(work, plan.resending, arrivals, facts, remains))
    verdict.violations[:0] = troubles + [f"a worker says: {one}" for one in _lines(folder / LOG)]
    if not verdict.violations:
        shutil.rmtree(folder)
    return Trial(plan, tuple(kills), time.monotonic() - started, verdict)


def _end_of(pid: int) -> int:
    """Wait for a process; return its exit code, or the signal that ended it below zero."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _lines(path: Path) -> list[str]:
    """Return a file's whole lines; a killed worker may have left half of one."""
    if not path.exists():
        return []
    return [line.strip() for line in path.read_text().splitlines(True) if line.endswith("\n")]
