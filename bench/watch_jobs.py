"""Filling a database with jobs that a provider has, and counting what was written to it."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.store_databases import execute, open_store
from bench.store_loads import spread
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.ports import NewJob
from reelhook.storage.operation import Target
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.store import Store

ACCOUNT = "openai"
_REQUEST = VideoRequest(prompt="made", model="sora-2", seconds="4", size="720x1280")
_SQLITE_ROWS = (
    "SELECT (SELECT coalesce(sum(version), 0) FROM jobs) + (SELECT count(*) FROM events)"
    " + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM attempts)"
)
_POSTGRES_ROWS = (
    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables"
    " WHERE relname IN ('jobs', 'events', 'deliveries', 'attempts')"
)
_POSTGRES_ROUNDS = (
    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables"
    " WHERE relname = 'accounts'"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the database, and how often it was written to."""

    rows: int
    """Writes of a job's row, or of a row that belongs to one.

    PostgreSQL counts by itself. On SQLite every write of a job raises its `version`, and the
    others are only ever added.
    """
    rounds: int
    """Writes of accounts, which PostgreSQL alone counts."""
    events: int
    round_at: float
    """When the last round was recorded, on the monotonic clock."""


async def fill(target: Target, count: int) -> None:
    """Store jobs that run at the stub, whose videos are numbered from 0."""
    async with open_store(target) as database:
        store, now = Store(database), time.time_ns() // 1_000_000
        await spread((partial(store.create, _running(n, now)) for n in range(count)), 512)
        await execute(database, "ANALYZE")


def _running(number: int, now: int) -> NewJob:
    at = now + number // 100
    job = Job(f"job_{number:07d}", ACCOUNT, Status.ACCEPTED, at, at)
    return NewJob(job.accept(f"video_{number:07d}", at), _REQUEST, None, ())


async def written(target: Target) -> Written:
    """Return the database's own counters."""
    on_sqlite = isinstance(target, Path)
    rounds = 0 if on_sqlite else await _number(target, _POSTGRES_ROUNDS)
    round_at = await _number(target, "SELECT coalesce(max(round_at), 0) FROM accounts")
    return Written(
        await _number(target, _SQLITE_ROWS if on_sqlite else _POSTGRES_ROWS),
        rounds,
        await _number(target, "SELECT count(*) FROM events"),
        round_at / 1000 - time.time() + time.monotonic(),
    )


async def shown_percent(target: Target, percent: int) -> int:
    """Return how many jobs stand at this percentage."""
    # Each driver has its own placeholder; this is a whole number of our own.
    sql = f"SELECT count(*) FROM jobs WHERE progress = {percent:d}"  # noqa: S608 - see above
    return await _number(target, sql)


async def _number(target: Target, sql: str) -> int:
    if isinstance(target, Path):
        connection = connect(target, read_only=True)
        try:
            return int(str(connection.execute(sql).fetchall()[0][0]))
        finally:
            connection.close()
    session = await postgres.connect(target)
    try:
        return int(await session.fetchval(sql))
    finally:
        await session.close()
