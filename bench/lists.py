"""Filtered lists of 100,000 jobs in 50 projects, on both databases: time, and the plan's index.

    python -m bench.lists [--kind sqlite|postgresql] [--jobs 100000]

Each list is read by a project and by the operator, from its beginning and from its middle.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reelhook.domain.job import Job, Status
from reelhook.ports import JobFilter
from reelhook.storage.operation import Database, Operation, Statement, statements_of
from reelhook.storage.operations import job_reads
from reelhook.storage.operations.rows import STATE_COLUMNS, state_of
from reelhook.storage.store import Store

from .each_database import run_on_each
from .figures import Figures, quantile
from .store_databases import execute, open_store

PROJECTS = 50
PROJECT = "prj_7"
PAGE = 50
TURNS = 20
WANTED_MILLISECONDS = 50.0
BEGIN = 1_767_225_600_000
_NUMBERS = (
    "WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(?1 AS INTEGER))"
)
_MADE = {
    "id": "'job_' || n",
    "created_at": f"{BEGIN} + 1000 * CAST(n AS BIGINT)",
    "project": f"'prj_' || (n % {PROJECTS})",
    "model": "CASE WHEN n / 50 % 1000 = 7 THEN 'rare' ELSE 'model_' || (n / 50 % 5) END",
    "status": (
        "CASE n / 50 % 20 WHEN 1 THEN 'failed' WHEN 2 THEN 'processing' ELSE 'completed' END"
    ),
    "code": (
        "CASE WHEN n / 50 % 20 <> 1 THEN NULL WHEN n % 3 = 1 THEN 'quota' ELSE 'moderation' END"
    ),
    "external_id": "'order-' || (n / 2)",
    "script": "'A cat in the rain, seen from a moving tram'",
    "title": "'A cat in the rain'",
    "render_version": "'v3'",
}
_METADATA = {"order": "CAST(n AS TEXT)", "shop": "CAST(n / 50 % 100 AS TEXT)", "stage": "'live'"}
_INDEX = re.compile(r"\b(jobs_\w+|job_metadata\w*|sqlite_autoindex_job_metadata_1)\b")


def filters() -> Iterator[tuple[str, JobFilter]]:
    """Name each filter, and some that are combined: the last ones match little of much."""
    middle = BEGIN + 50_000_000
    yield "none", JobFilter()
    yield "status", JobFilter(status=Status.PROCESSING)
    yield "status of few", JobFilter(status=Status.QUEUED)
    yield "model", JobFilter(model="model_2")
    yield "model of few", JobFilter(model="rare")
    yield "code", JobFilter(code="quota")
    yield "externalId", JobFilter(external_id="order-3503")
    yield "metadata of one", JobFilter(metadata=(("order", "7007"),))
    yield "metadata of many", JobFilter(metadata=(("shop", "7"),))
    yield "metadata of all", JobFilter(metadata=(("stage", "live"),))
    yield "two of metadata", JobFilter(metadata=(("stage", "live"), ("shop", "7")))
    yield "createdAfter", JobFilter(created_after=middle)
    yield "createdBefore", JobFilter(created_before=middle)
    yield "status, model", JobFilter(status=Status.FAILED, model="model_1")
    yield "code, model, time", JobFilter(code="quota", model="model_1", created_before=middle)
    yield "metadata, status", JobFilter(metadata=(("stage", "live"),), status=Status.PROCESSING)
    yield "status, model that never meet", JobFilter(status=Status.FAILED, model="model_3")
    yield (
        "metadata, status that never meet",
        JobFilter(metadata=(("stage", "live"),), status=Status.QUEUED),
    )


async def fill(database: Database, jobs: int) -> None:
    """Store the jobs with a few statements."""
    job = Job("", "bench", Status.COMPLETED, BEGIN, BEGIN)
    values = {name: f"?{number}" for number, name in enumerate(STATE_COLUMNS, start=2)} | _MADE
    plain = [value for name, value in zip(STATE_COLUMNS, state_of(job), strict=True)]
    left = [name for name in STATE_COLUMNS if name not in _MADE]
    values |= {name: f"?{number}" for number, name in enumerate(left, start=2)}
    chosen = [plain[STATE_COLUMNS.index(name)] for name in left]
    await execute(
        database,
        f"{_NUMBERS} INSERT INTO jobs ({', '.join(values)})"  # noqa: S608 - constant columns
        f" SELECT {', '.join(values.values())} FROM numbers",
        jobs,
        *chosen,
    )
    for name, value in _METADATA.items():
        await execute(
            database,
            f"{_NUMBERS} INSERT INTO job_metadata (name, value, created_at, job_id, project)"  # noqa: S608 - as above
            f" SELECT '{name}', {value}, {_MADE['created_at']}, {_MADE['id']}, {_MADE['project']}"
            " FROM numbers",
            jobs,
        )


def explained(wanted: JobFilter, kind: str) -> Operation[list[str]]:
    """Return the plan of the list's last statement, line by line."""
    operation = job_reads.page(wanted, PAGE, None)
    rows: Any = None
    plan: list[str] = []
    while True:
        try:
            yielded = operation.send(rows)
        except StopIteration:
            return plan
        for one in statements_of(yielded):
            explain = "EXPLAIN" if kind == "postgresql" else "EXPLAIN QUERY PLAN"
            found = yield Statement(f"{explain} {one.sql}", one.parameters)
            plan = [str(row[-1]) for row in found]
        rows = yield yielded


async def measure(kind: str, database: Database, jobs: int) -> Figures:
    """Read each list several times, and return its times and its plan's index."""
    figures = Figures(f"lists-{kind}")
    store = Store(database)
    middle = f"job_{jobs // 2 + 7}"
    for name, wanted in filters():
        for project in (None, PROJECT):
            asked = replace(wanted, project=project)
            milliseconds, found = list[float](), 0
            for turn in range(TURNS):
                begin = time.perf_counter()
                page = await store.jobs(asked, PAGE, middle if turn % 2 else None)
                milliseconds.append((time.perf_counter() - begin) * 1000)
                found = max(found, len(page.jobs))
            plan = await database.background(partial(explained, asked, kind))
            indexes = " ".join(dict.fromkeys(_INDEX.findall(" ".join(plan)))) or " ".join(plan)
            who = "operator" if project is None else "project"
            label = f"{name} ({who}: {found} jobs) by {indexes}"
            figures.at_most(label, quantile(milliseconds, 0.95), WANTED_MILLISECONDS, " ms")
            figures.values[f"{name}, {who}"] = quantile(milliseconds, 0.95)
    return figures


async def run(kind: str, target: Path | str, jobs: int) -> Figures:
    async with open_store(target) as database:
        await fill(database, jobs)
        if kind == "postgresql":  # as its autovacuum does by itself
            await execute(database, "ANALYZE")
        return await measure(kind, database, jobs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.lists", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    return run_on_each(parser, run, "jobs")


if __name__ == "__main__":
    sys.exit(main())
