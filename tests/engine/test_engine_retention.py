"""Retention: once an hour old records go, batch by batch, with pauses."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_clock import START, ManualClock
from migrated_database import prepare
from structlog.testing import capture_logs

from reelhook.core.wakeups import Signals
from reelhook.domain.errors import StoreError
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.engine.upkeep.retention import (
    PAUSE_SECONDS,
    RETRY_SECONDS,
    RUN_SECONDS,
    Keep,
    Retention,
)
from reelhook.ports import Destination, NewJob, Position, Removal
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

DAY_SECONDS = 24 * 3600
KEEP = Keep(jobs_days=30, attempts_days=7)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    prepare(tmp_path / "reelhook.db")
    database = SQLite(tmp_path / "reelhook.db")
    yield Store(database)
    await database.close()


async def failed(store: Store, job_id: str) -> None:
    """Store a job that ended when the clock started, without webhooks."""
    job = Job(job_id, "openai", Status.FAILED, START, START)
    await store.create(NewJob(job, VideoRequest("a fox", "sora-2"), None, ()))


def retention(store: Store, clock: ManualClock, keep: Keep = KEEP) -> Retention:
    return Retention(store, keep, Signals(), clock=clock)


async def run(loop: Retention) -> int:
    """Tick until the run is over; return how many ticks it took."""
    ticks = 1
    while await loop.tick() == PAUSE_SECONDS:
        ticks += 1
    return ticks


async def count(store: Store) -> int:
    return sum((await store.counts()).values())


async def test_finished_jobs_go_after_their_days_and_no_sooner(store: Store) -> None:
    clock = ManualClock()
    loop = retention(store, clock)
    for number in range(200):
        await failed(store, f"job_{number}")
    clock.advance(30 * DAY_SECONDS)
    await run(loop)
    assert await count(store) == 200
    clock.advance(RUN_SECONDS)
    with capture_logs() as logs:
        assert await run(loop) > 3  # in batches
    assert await count(store) == 0
    assert [line["jobs"] for line in logs if line["event"] == "retention.removed"] == [200]


async def test_a_run_begins_every_hour_however_often_the_loop_is_woken(store: Store) -> None:
    clock = ManualClock()
    loop = retention(store, clock)
    await run(loop)
    clock.advance(60)
    assert await loop.tick() == RUN_SECONDS - 60
    await failed(store, "job_1")
    clock.advance(31 * DAY_SECONDS)
    assert await loop.tick() == PAUSE_SECONDS


async def test_what_is_kept_for_ever_is_not_even_looked_at(store: Store) -> None:
    clock = ManualClock()
    loop = retention(store, clock, Keep(math.inf, math.inf))
    await failed(store, "job_1")
    clock.advance(10_000 * DAY_SECONDS)
    assert await run(loop) == 1
    assert await count(store) == 1


async def test_endpoints_of_urls_go_with_the_last_job_that_named_them(store: Store) -> None:
    clock = ManualClock()
    job = Job("job_1", "openai", Status.FAILED, START, START)
    destination = Destination.to("https://h.example/hook")
    await store.create(NewJob(job, VideoRequest("a fox", "sora-2"), None, (destination,)))
    clock.advance(31 * DAY_SECONDS)
    with capture_logs() as logs:
        await run(retention(store, clock))
    (line,) = [line for line in logs if line["event"] == "retention.removed"]
    assert (line["jobs"], line["endpoints"]) == (1, 1)


class Slow(Store):
    """A store whose removals take a second."""

    def __init__(self, database: SQLite, clock: ManualClock) -> None:
        super().__init__(database)
        self._clock = clock

    async def remove_attempts(self, position: Position, before: int) -> Removal:
        self._clock.advance(1)
        return await super().remove_attempts(position, before)


class Away(Store):
    """A store that can't be written just now."""

    async def remove_attempts(self, position: Position, before: int) -> Removal:
        raise StoreError("The disk is full")


async def test_a_busy_database_is_left_alone_for_longer(tmp_path: Path) -> None:
    clock = ManualClock()
    prepare(tmp_path / "reelhook.db")
    database = SQLite(tmp_path / "reelhook.db")
    assert await retention(Slow(database, clock), clock).tick() == 4.0
    await database.close()


async def test_a_database_that_is_away_defers_it(tmp_path: Path) -> None:
    prepare(tmp_path / "reelhook.db")
    database = SQLite(tmp_path / "reelhook.db")
    with capture_logs() as logs:
        assert await retention(Away(database), ManualClock()).tick() == RETRY_SECONDS
    assert [line["event"] for line in logs] == ["retention.deferred"]
    await database.close()
