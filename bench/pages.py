"""The server time of every page with 100,000 jobs and 1,000,000 attempts, on both databases.

    python -m bench.pages [--kind sqlite|postgresql] [--jobs 100000]

The pages are read one after another. The first read of each has nothing that is kept.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from reelhook import bootstrap
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.doors.warming import warm_up
from reelhook.simulator.server import running
from reelhook.storage.operation import Database, Target

from .each_database import run_on_each
from .figures import Figures, quantile
from .store_databases import execute, open_store

WANTED_MILLISECONDS = 200.0
TURNS = 20
ATTEMPTS_EACH, ENDPOINTS = 10, 20
HTML = {"Accept": "text/html"}
_NUMBERS = (
    "WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(?1 AS INTEGER))"
)
_AT = "(CAST(?2 AS BIGINT) - 800 * CAST(?1 - n AS BIGINT))"
_JOBS = f"""
{_NUMBERS} INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at,
  updated_at, accepted_at, sequence, provider_job_id, charged_amount, charged_unit, code, progress)
SELECT 'job_' || n, 'openai',
  CASE WHEN n > ?1 - 200 THEN 'processing' WHEN n % 20 = 1 THEN 'failed' ELSE 'completed' END,
  'A cat in the rain, seen from a moving tram', 'A cat in the rain ' || n, 'sora-2', 'v3',
  {_AT}, {_AT} + 60000, {_AT} + 500, 3,
  'video_' || n, 0.4, 'USD', CASE n % 20 WHEN 1 THEN 'moderation' END, 50 FROM numbers
"""  # noqa: S608 - a constant
_BODY = (
    '{"status": "completed", "progress": 100, "timestamp": "2026-11-30T00:00:00.000Z",'
    ' "sequence": 1}'
)
_EVENTS = f"""
{_NUMBERS} INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body,
  position)
SELECT 'evt_job_' || n || '_1', 'job_' || n, 1, 'terminal', 'completed', 100, {_AT},
  {{body}}, n FROM numbers
"""  # noqa: S608 - a constant
_BODIES = {"sqlite": f"CAST('{_BODY}' AS BLOB)", "postgresql": f"convert_to('{_BODY}', 'UTF8')"}
_DELIVERIES = f"""
{_NUMBERS} INSERT INTO deliveries (id, job_id, endpoint_id, lane, url, outcome,
  delivered_sequence)
SELECT n, 'job_' || n, 'ep_' || (n % {ENDPOINTS}), 0, '',
  CASE WHEN CAST(?2 AS BIGINT) > 0 THEN 'delivered' END, 1 FROM numbers
"""  # noqa: S608 - a constant
_ATTEMPTS = f"""
{_NUMBERS} INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer)
SELECT 1 + n / {ATTEMPTS_EACH}, 'evt_job_' || (1 + n / {ATTEMPTS_EACH}) || '_1', 1,
  1 + n % {ATTEMPTS_EACH}, CAST(?2 AS BIGINT) - 80 * CAST(?1 - n AS BIGINT), 30,
  CASE WHEN n % 50 = 0 THEN 503 ELSE 200 END, 'ok' FROM numbers
"""  # noqa: S608 - a constant
_ENDPOINTS = f"""
{_NUMBERS} INSERT INTO endpoints (id, kind, url, trusted, created_at, description)
SELECT 'ep_' || (n - 1), 'registered', 'http://127.0.0.1:2/' || n, FALSE, CAST(?2 AS BIGINT),
  'Receiver ' || n FROM numbers
"""  # noqa: S608 - a constant


async def fill(database: Database, kind: str, jobs: int) -> None:
    """Write the rows of a busy day."""
    now = SystemClock().now()
    for statement, most in (
        (_ENDPOINTS, ENDPOINTS),
        (_JOBS, jobs),
        (_EVENTS.format(body=_BODIES[kind]), jobs),
        (_DELIVERIES, jobs),
        (_ATTEMPTS, jobs * ATTEMPTS_EACH - ATTEMPTS_EACH),
    ):
        await execute(database, statement, most, now)
    if kind == "postgresql":  # as its autovacuum does by itself
        await execute(database, "ANALYZE")


def pages(jobs: int) -> dict[str, str]:
    """Return the pages that are read."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs: failed": "/jobs?q=status%3Afailed",
        "jobs: a text": "/jobs?q=tram",
        "jobs: a text of none": "/jobs?q=nothing+has+this",
        "jobs: of an endpoint": "/jobs?q=endpoint%3Aep_3",
        "jobs: of a cause": "/jobs?q=cause%3Aprovider_slow",
        "jobs: of webhooks": "/jobs?q=cause%3Aretrying",
        "jobs: all that match": "/jobs?q=status%3Aprocessing&all=cancel",
        "jobs: deep": f"/jobs?cursor=job_{jobs // 2}",
        "job": f"/jobs/job_{jobs}",
        "delivery": "/jobs/job_7/deliveries/7",
        "webhooks": "/webhooks",
        "endpoint": "/webhooks/ep_3",
        "endpoint: failed": "/webhooks/ep_3?state=failed",
        "providers": "/providers",
        "costs": "/costs",
        "costs: 90 days": "/costs?days=90",
        "keys": "/keys",
        "archive": "/archive",
        "system": "/system",
        "try": "/try",
    }


async def read_all(settings: Settings, jobs: int) -> dict[str, list[float]]:
    """Return the milliseconds of each page: the first read, and the others."""
    times: dict[str, list[float]] = {}
    async with (
        running() as simulated,
        bootstrap.server(settings, simulator_url=simulated.root_url) as server,
        aiohttp.ClientSession(server.url, headers=HTML) as session,
    ):
        await asyncio.to_thread(warm_up)  # as `serve` does
        await asyncio.sleep(3)
        for turn in range(TURNS):
            for name, path in pages(jobs).items():
                began = time.perf_counter()
                async with session.get(path) as response:
                    await response.read()
                    assert response.status == 200, (path, response.status)
                times.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.3 if turn % 4 else 1.2)  # what is kept for a second gets old
    return times


async def measure(kind: str, target: Target, jobs: int) -> Figures:
    """Fill a database, and read every page on it."""
    logging.disable(logging.CRITICAL)
    async with open_store(target) as database:
        await fill(database, kind, jobs)
    place = f"sqlite:///{target}" if isinstance(target, Path) else target
    with tempfile.TemporaryDirectory(prefix="reelhook-pages-") as folder:
        settings = Settings.of(
            port=0,
            data_dir=Path(folder),
            database_url=place,
            webhook_secret="a secret of the benchmark",
            poll_seconds=3600,
            allow_networks="127.0.0.1/32",
            archive_url="off",
        )
        times = await read_all(settings, jobs)
    figures = Figures(f"pages-{kind}")
    for page, found in times.items():
        figures.values[page] = quantile(found, 0.5)
        figures.tell(f"{page}: median", f"{quantile(found, 0.5):.0f} ms")
        figures.at_most(f"{page}: the longest", max(found), WANTED_MILLISECONDS, " ms")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    return run_on_each(parser, measure, "jobs")


if __name__ == "__main__":
    sys.exit(main())
