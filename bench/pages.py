"""The server time of every page with 100,000 jobs and 1,000,000 attempts, on SQLite.

python -m bench.pages [--jobs 100000] [--attempts 10] [--turns 20]
"""

import argparse
import asyncio
import logging
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.server import running
from reelhook.storage.schema.migrate import migrate

from .figures import quantile

WANTED_MILLISECONDS = 200.0
HTML = {"Accept": "text/html"}
_NUMBERS = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :most)"
)
_JOBS = f"""
{_NUMBERS} INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at,
  updated_at, accepted_at, sequence, provider_job_id, charged_amount, charged_unit, code, progress)
SELECT 'job_' || printf('%07d', n), 'openai',
  CASE WHEN n > :most - 200 THEN 'processing' WHEN n % 20 = 1 THEN 'failed' ELSE 'completed' END,
  'A cat in the rain, seen from a moving tram', 'A cat in the rain ' || n, 'sora-2', 'v3',
  :now - 800 * (:most - n), :now - 800 * (:most - n) + 60000, :now - 800 * (:most - n) + 500, 3,
  'video_' || n, 0.4, 'USD', CASE n % 20 WHEN 1 THEN 'moderation' END, 50 FROM numbers
"""  # noqa: S608 - a constant
_EVENTS = f"""
{_NUMBERS} INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body,
  position)
SELECT 'evt_job_' || printf('%07d', n) || '_1', 'job_' || printf('%07d', n), 1, 'terminal',
  'completed', 100, :now - 800 * (:most - n), CAST('{{"status": "completed", "progress": 100,
  "timestamp": "2026-11-30T00:00:00.000Z", "sequence": 1}}' AS BLOB), n FROM numbers
"""  # noqa: S608 - a constant
_DELIVERIES = f"""
{_NUMBERS} INSERT INTO deliveries (id, job_id, endpoint_id, lane, url, outcome,
  delivered_sequence)
SELECT n, 'job_' || printf('%07d', n), 'ep_' || (n % 20), 0, '', 'delivered', 1 FROM numbers
"""  # noqa: S608 - a constant
_ATTEMPTS = f"""
{_NUMBERS} INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer)
SELECT 1 + n / :each, 'evt_job_' || printf('%07d', 1 + n / :each) || '_1', 1, 1 + n % :each,
  :now - 80 * (:most - n), 30, CASE WHEN n % 50 THEN 200 ELSE 503 END, 'ok' FROM numbers
"""  # noqa: S608 - a constant
_ENDPOINTS = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 19)
INSERT INTO endpoints (id, kind, url, trusted, created_at, description)
SELECT 'ep_' || n, 'registered', 'http://127.0.0.1:2/' || n, 0, :now, 'Receiver ' || n FROM numbers
"""


def fill(path: Path, jobs: int, attempts: int) -> None:
    """Write the rows of a busy day."""
    now = int(time.time() * 1000)
    database = sqlite3.connect(path)
    database.execute("PRAGMA foreign_keys = OFF")
    for statement, most in (
        (_JOBS, jobs),
        (_EVENTS, jobs),
        (_DELIVERIES, jobs),
        (_ATTEMPTS, jobs * attempts - attempts),
        (_ENDPOINTS, 0),
    ):
        database.execute(statement, {"most": most, "now": now, "each": attempts})
        database.commit()
    database.close()


def pages(jobs: int) -> dict[str, str]:
    """Return the pages that are read."""
    newest = f"job_{jobs:07d}"
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs: failed": "/jobs?q=status%3Afailed",
        "jobs: a text": "/jobs?q=tram",
        "jobs: a text of none": "/jobs?q=nothing+has+this",
        "jobs: of an endpoint": "/jobs?q=endpoint%3Aep_3",
        "jobs: deep": f"/jobs?cursor=job_{jobs // 2:07d}",
        "job": f"/jobs/{newest}",
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


async def measure(folder: Path, jobs: int, turns: int) -> dict[str, list[float]]:
    """Return the milliseconds of each page: the first read, and the others."""
    times: dict[str, list[float]] = {}
    async with running() as simulated:
        settings = Settings.of(
            port=0,
            data_dir=folder,
            webhook_secret="a secret of the benchmark",
            poll_seconds=3600,
            allow_networks="127.0.0.1/32",
        )
        async with (
            bootstrap.server(settings, simulator_url=simulated.root_url) as server,
            aiohttp.ClientSession(server.url, headers=HTML) as session,
        ):
            await asyncio.sleep(3)
            for turn in range(turns):
                for name, path in pages(jobs).items():
                    began = time.perf_counter()
                    async with session.get(path) as response:
                        await response.read()
                        assert response.status == 200, (path, response.status)
                    times.setdefault(name, []).append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(0.3 if turn % 4 else 1.2)  # what is kept for a second gets old
    return times


def main() -> int:
    """Print a table; return 1 if a page took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--attempts", type=int, default=10)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="reelhook-pages-") as name:
        folder = Path(name)
        migrate(folder / "reelhook.db")
        fill(folder / "reelhook.db", options.jobs, options.attempts)
        times = asyncio.run(measure(folder, options.jobs, options.turns))
    print(f"{'page':24}{'median ms':>12}{'95 % ms':>10}{'most ms':>10}")
    slow = False
    for page, found in times.items():
        p95 = quantile(sorted(found), 0.95)
        slow |= p95 > WANTED_MILLISECONDS
        print(f"{page:24}{quantile(sorted(found), 0.5):12.1f}{p95:10.1f}{max(found):10.1f}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
