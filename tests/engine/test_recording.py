"""Recording: a caller that is canceled during a commit keeps no event from being sent."""

import asyncio
import threading
from pathlib import Path

import pytest
from migrated_database import prepare

from reelhook.core.facts import emitter
from reelhook.core.payloads import Formats
from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Progress
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.payload import CompatPayload
from reelhook.ports import NewJob
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store


async def test_a_caller_that_is_cut_off_within_the_commit_loses_no_wake_up(tmp_path: Path) -> None:
    path = tmp_path / "reelhook.db"
    prepare(path)
    database, signals, gate = SQLite(path), Signals(), threading.Event()

    def hold_up() -> Operation[None]:
        gate.wait(10)
        yield Statement("SELECT 1")

    store = Store(database)
    recording = Recording(
        store,
        signals,
        Formats(CompatPayload("https://example.com/{}".format)),
        emitter(),
    )
    job = Job("job_1", "acme", Status.ACCEPTED, 0, 0).accept("video_1", 1)
    try:
        await store.create(NewJob(job, VideoRequest("a fox", "sora-2"), None, ()))
        writer = asyncio.create_task(database.write(hold_up))
        caller = asyncio.create_task(recording.record([job.apply(Progress(True, 5), 2)]))
        await asyncio.sleep(0)  # it begins after the writer
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not signals.deliver.is_set()
        gate.set()
        async with asyncio.timeout(60):
            await signals.deliver.wait()
        await writer
        assert len(await store.events(["job_1"], {})) == 1
    finally:
        gate.set()
        await database.close()
