"""A server's file is migrated by a process of its own."""

import asyncio
import shutil
from contextlib import closing, suppress
from pathlib import Path

import apsw
import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from reelhook.storage.schema.apart import migrate_apart
from reelhook.storage.schema.migrate import pending, revisions

from .failing_files import failing_files

WAIT_SECONDS = 30


async def owner_of(file: Path) -> int:
    """Return the process that has taken the file's lock, once there is one."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with suppress(OSError, ValueError):
                return int(file.with_name(file.name + ".lock").read_text())
            await asyncio.sleep(0.01)


async def test_a_new_file_gets_all_revisions(tmp_path: Path) -> None:
    file = tmp_path / "data" / "reelhook.db"
    await migrate_apart(file)
    assert pending(file) == []


async def test_a_canceled_start_ends_the_process_and_nothing_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "reelhook.db"
    with closing(apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")  # so the migration waits
        migrating = asyncio.create_task(migrate_apart(file))
        process = await owner_of(file)
        migrating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await migrating
        assert not psutil.pid_exists(process)
    assert pending(file) == revisions()


async def test_a_file_that_can_not_be_migrated_is_left_to_the_start(tmp_path: Path) -> None:
    (tmp_path / "reelhook.db").mkdir()
    await migrate_apart(tmp_path / "reelhook.db")
    (other := tmp_path / "other.db").write_text("no database" * 1000)
    await migrate_apart(other)
    assert other.read_text() == "no database" * 1000


async def test_a_failure_while_it_is_closed_is_left_to_the_start(
    database_path: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed.db"
    with closing(apsw.Connection(str(database_path))) as running:
        running.execute("PRAGMA journal_mode = WAL")
        running.execute("UPDATE alembic_version SET version_num = version_num")
        for ending in ("", "-wal"):
            shutil.copy(f"{database_path}{ending}", f"{killed}{ending}")
    # Through these, SQLite can't lock a file that is only read, as a checkpoint needs it.
    with failing_files():
        await migrate_apart(killed)
    assert pending(killed) == []
