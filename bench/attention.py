"""`GET /api/attention` on a bad day: 100,000 jobs and 1,000,000 attempts, on both databases.

    python -m bench.attention [--kind sqlite|postgresql] [--jobs 100000]

Most jobs are unfinished, and many webhooks wait at endpoints that fail. Only the usual render times
of models are reused from an earlier reading.
"""

import argparse
import sys
import time
from pathlib import Path

from reelhook.clock import SystemClock
from reelhook.domain.caller import OPERATOR, Caller, Scope
from reelhook.domain.catalog import Account, Catalog
from reelhook.gateway import CauseSettings
from reelhook.service.attention import Attention
from reelhook.service.cause_facts import CauseFacts
from reelhook.storage.operation import Database
from reelhook.storage.store import Store

from .each_database import run_on_each
from .figures import Figures, quantile
from .store_databases import execute, open_store

ACCOUNTS = 5
PROJECTS = 50
ENDPOINTS = 500
ATTEMPTS_EACH = 10
TURNS = 30
WANTED_MILLISECONDS = 200.0
READER = Caller("prj_7", frozenset({Scope.READ}), key_id="key_7", chosen=True)
_NUMBERS = (
    "WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(?1 AS INTEGER))"
)
_JOBS = f"""
{_NUMBERS} INSERT INTO jobs (id, account, project, status, script, title, model, render_version,
  created_at, updated_at, accepted_at, doubt_since, submit_started_at, sequence, provider_job_id,
  code)
SELECT 'job_' || n, 'account_' || (n % {ACCOUNTS}), 'prj_' || (n / 20 % {PROJECTS}),
  CASE WHEN n % 20 < 6 THEN 'accepted' WHEN n % 20 < 7 THEN 'submitting'
    WHEN n % 20 < 13 THEN 'processing' WHEN n % 20 < 14 THEN 'failed' ELSE 'completed' END,
  'A cat in the rain, seen from a moving tram', 'A cat', 'model_' || (n % 7), 'v3',
  ?2 - 700 * CAST(?1 - n AS BIGINT), ?2 - 700 * CAST(?1 - n AS BIGINT) + 60000,
  ?2 - 700 * CAST(?1 - n AS BIGINT) + 500, CASE WHEN n % 20 = 6 THEN CAST(?2 AS BIGINT) END,
  CASE WHEN n % 20 = 6 THEN CAST(?2 AS BIGINT) END, 3,
  CASE WHEN n % 20 > 6 THEN 'video_' || n END,
  CASE WHEN n % 20 = 13 THEN 'submission_unknown' END FROM numbers
"""  # noqa: S608 - a constant
_DELIVERIES = f"""
{_NUMBERS} INSERT INTO deliveries (id, job_id, endpoint_id, lane, url, outcome, status_sequence,
  due_at, attempts)
SELECT n, 'job_' || n, 'ep_' || (n % {ENDPOINTS}), 0, '',
  CASE WHEN n % 20 = 14 THEN 'exhausted' END,
  CASE WHEN n % 20 <> 14 THEN 1 END,
  CASE WHEN n % 20 <> 14 THEN CAST(?2 AS BIGINT) + n END, 3 FROM numbers
"""  # noqa: S608 - a constant
_UNDELIVERED = f"""
{_NUMBERS} INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT n, 1, 'exhausted', CAST(?2 AS BIGINT) - n FROM numbers WHERE n % 20 = 14
"""  # noqa: S608 - a constant
_ATTEMPTS = f"""
{_NUMBERS} INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer)
SELECT 1 + n / {ATTEMPTS_EACH}, 'evt_' || n, 1, 1 + n % {ATTEMPTS_EACH}, CAST(?2 AS BIGINT), 30,
  503, 'no' FROM numbers
"""  # noqa: S608 - a constant
_ENDPOINTS = f"""
{_NUMBERS} INSERT INTO endpoints (id, kind, url, trusted, created_at, project, failures,
  failing_since, probe_due_at, probe_milliseconds, next_at)
SELECT 'ep_' || (n - 1), 'registered', 'http://127.0.0.1:2/' || n, FALSE, CAST(?2 AS BIGINT),
  'prj_' || (n % {PROJECTS}), 7, CAST(?2 AS BIGINT),
  CASE WHEN n % 2 = 0 THEN CAST(?2 AS BIGINT) END, 5000, CAST(?2 AS BIGINT) FROM numbers
"""  # noqa: S608 - a constant


async def fill(database: Database, jobs: int) -> None:
    """Store the rows of a bad day."""
    now = SystemClock().now()
    for statement, most in (
        (_ENDPOINTS, ENDPOINTS),
        (_JOBS, jobs),
        (_DELIVERIES, jobs),
        (_UNDELIVERED, jobs),
        (_ATTEMPTS, jobs * ATTEMPTS_EACH - ATTEMPTS_EACH),
    ):
        await execute(database, statement, most, now)


async def measure(kind: str, database: Database) -> Figures:
    """Read all causes several times, as the operator and as a key of a project."""
    figures = Figures(f"attention-{kind}")
    store, clock = Store(database), SystemClock()
    accounts = [Account(f"account_{one}", "openai", jobs_max=1000) for one in range(ACCOUNTS)]
    catalog = Catalog(accounts, {"openai": ()}, {})
    settings = CauseSettings(5.0, 24.0, 60.0, 13, archiving=True)
    for who, caller in (("operator", OPERATOR), ("project", READER)):
        milliseconds, names, first = list[float](), set[str](), 0.0
        facts = CauseFacts(store, catalog, settings, clock)
        attention = Attention(store, facts, clock)
        for turn in range(TURNS + 1):
            attention._cache.clear()
            facts._read = None
            begin = time.perf_counter()
            rows = await attention.all(caller)
            took = (time.perf_counter() - begin) * 1000
            if turn:
                milliseconds.append(took)
            else:
                first = took
            names |= {row.cause.name.value for row in rows}
        print(
            f"{kind}, {who}: {', '.join(sorted(names))}; the first took {first:.0f} ms,"
            f" half of the others {quantile(sorted(milliseconds), 0.5):.0f} ms at most"
        )
        p95 = quantile(sorted(milliseconds), 0.95)
        figures.at_most(f"all causes ({who})", p95, WANTED_MILLISECONDS, " ms")
        figures.values |= {who: p95, f"{who}, median": quantile(sorted(milliseconds), 0.5)}
    return figures


async def run(kind: str, target: Path | str, jobs: int) -> Figures:
    async with open_store(target) as database:
        await fill(database, jobs)
        if kind == "postgresql":  # as its autovacuum does by itself
            await execute(database, "ANALYZE")
        return await measure(kind, database)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.attention", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    return run_on_each(parser, run, "jobs")


if __name__ == "__main__":
    sys.exit(main())
