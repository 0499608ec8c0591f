"""Closed projects: their data goes in batches, and the loop waits while something is unfinished."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_clock import START, ManualClock
from migrated_database import prepare
from structlog.testing import capture_logs

from reelhook.core.wakeups import Signals
from reelhook.domain.job import Job, Status
from reelhook.domain.project import Project
from reelhook.domain.request import VideoRequest
from reelhook.engine.upkeep.closed_projects import LOOK_SECONDS, ClosedProjects
from reelhook.engine.upkeep.retention import PAUSE_SECONDS
from reelhook.ports import NewJob
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    prepare(tmp_path / "reelhook.db")
    database = SQLite(tmp_path / "reelhook.db")
    yield Store(database)
    await database.close()


async def closed(store: Store, name: str, *, jobs: int = 0, status: Status = Status.FAILED) -> None:
    project = Project(f"prj_{name}", name, START)
    await store.create_project(project)
    for number in range(jobs):
        job = Job(f"{name}_{number}", "openai", status, START, START, project=project.id)
        await store.create(NewJob(job, VideoRequest("a fox", "sora-2"), None, ()))
    await store.change_project(name, lambda one: one.closed(START, delete_data=True), START)


async def test_without_a_closed_project_the_loop_waits_for_a_signal(store: Store) -> None:
    assert await ClosedProjects(store, Signals(), clock=ManualClock()).tick() is None


async def test_the_data_goes_in_batches_with_pauses(store: Store) -> None:
    await closed(store, "shop", jobs=150)
    loop = ClosedProjects(store, Signals(), clock=ManualClock())
    with capture_logs() as logs:
        ticks = 0
        while await loop.tick() == PAUSE_SECONDS:
            ticks += 1
    assert ticks >= 3
    assert sum((await store.counts()).values()) == 0
    assert [line["project"] for line in logs if line["event"] == "project.data_deleted"] == [
        "prj_shop"
    ]
    assert await loop.tick() is None


async def test_a_project_in_use_is_looked_at_again_and_delays_no_other(store: Store) -> None:
    await closed(store, "busy", jobs=1, status=Status.ACCEPTED)
    await closed(store, "shop")
    loop = ClosedProjects(store, Signals(), clock=ManualClock())
    assert await loop.tick() == LOOK_SECONDS
    assert await store.projects_to_empty() == ["prj_busy"]
    assert await loop.tick() == LOOK_SECONDS
