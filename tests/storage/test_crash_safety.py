from pathlib import Path

import apsw

from reelhook.domain.job import Status
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .processes import running

ACKNOWLEDGED_MIN = 300


def killed_while_writing(path: Path) -> set[str]:
    """Kill a process during its writes; return the jobs that it had printed by then."""
    with running("endless_writer", str(path)) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(ACKNOWLEDGED_MIN)]
        writer.kill()
        told += writer.stdout.readlines()
    return {line.strip() for line in told if line.endswith("\n")}


async def test_every_acknowledged_write_survives_a_kill(database_path: Path) -> None:
    acknowledged = killed_while_writing(database_path)
    assert len(acknowledged) >= ACKNOWLEDGED_MIN
    database = SQLite(database_path)
    try:
        store = Store(database)
        events = await store.events(sorted(acknowledged), {})
        assert {one.job_id for one in events} == acknowledged
        assert (await store.job(min(acknowledged))).job.status is Status.PROCESSING
    finally:
        await database.close()


async def test_a_kill_leaves_no_half_of_a_write(database_path: Path) -> None:
    killed_while_writing(database_path)
    connection = apsw.Connection(str(database_path))
    assert connection.pragma("integrity_check") == "ok"
    jobs, deliveries = "SELECT count(*) FROM jobs", "SELECT count(*) FROM deliveries"
    assert connection.execute(jobs).get == connection.execute(deliveries).get
    running_jobs = connection.execute(jobs + " WHERE status = 'processing'").get
    assert connection.execute("SELECT count(*) FROM events").get == running_jobs
    assert connection.execute(deliveries + " WHERE due_at IS NOT NULL").get == running_jobs
    connection.close()
