"""Copying an installation: each row arrives once, despite interruptions; never are both open."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from migrated_database import prepare

from reelhook.domain.errors import CopyError, SettingsError
from reelhook.storage.operations import leases
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.store import Store
from reelhook.storage.transfer import database as sides
from reelhook.storage.transfer.copying import Copied, copy, reopen
from reelhook.storage.transfer.database import TABLES

from .installations import dump, execute, fill, grow, run_on
from .postgres_databases import fresh_database
from .samples import NOW

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "reelhook.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "source.db"))


@pytest.fixture
async def target(postgres_url: str) -> AsyncIterator[str]:
    """An empty PostgreSQL database, without any schema."""
    async with fresh_database(postgres_url) as url:
        await run_on(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        yield url


def quiet(_what: str, _table: str, _done: int, _total: int) -> None:
    """Ignore the progress."""


class CutOffError(Exception):
    """The copy is cut off here."""


async def cut_off(source: Path, target: Path | str, table: str, what: str = "Copying") -> None:
    """Copy until a batch of that table is there."""

    def tell(doing: str, at: str, _done: int, _total: int) -> None:
        if (doing, at) == (what, table):
            raise CutOffError

    with pytest.raises(CutOffError):
        await copy(source, target, tell)


# -- what arrives ----------------------------------------------------------------------------------


def test_the_copy_knows_every_table_and_its_key(tmp_path: Path) -> None:
    path = tmp_path / "reelhook.db"
    prepare(path)
    tables = execute(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in tables} == {*TABLES, "alembic_version"}
    for table, key in TABLES.items():
        info = execute(path, "SELECT name FROM pragma_table_info(?1) WHERE pk ORDER BY pk", table)
        assert tuple(name for (name,) in info) == key


async def test_all_rows_arrive_and_come_back_as_they_were(
    source: Path, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelhook.storage.transfer.database.BATCH_ROWS", 2)
    before = dump(source)
    there = await copy(source, target, quiet)
    back = await copy(target, tmp_path / "back.db", quiet)
    after = dump(tmp_path / "back.db")
    for table in TABLES:
        assert len(after[table]) == there.tables[table].rows == back.tables[table].rows
        assert there.tables[table].checksum == back.tables[table].checksum
    assert (len(before.pop("workers")), after.pop("workers")) == (2, [])
    assert {lease.pop("lease_until") for lease in after["leases"]} == {0}
    for lease in before["leases"]:
        del lease["lease_until"]
    assert after == before
    assert sum(digest.rows for digest in there.tables.values()) > 40


async def test_the_target_counts_its_ids_on(source: Path, target: str) -> None:
    await copy(source, target, quiet)
    ((highest,),) = execute(source, "SELECT max(id) FROM deliveries")
    ((failed,),) = execute(source, "SELECT id FROM deliveries WHERE job_id = 'failed'")
    database = await PostgreSQL.open(target)
    try:
        resent = await Store(database).resend_one(failed, None, NOW)
    finally:
        await database.close()
    assert resent.id == highest + 1


async def test_an_empty_table_starts_its_ids_at_one(tmp_path: Path, target: str) -> None:
    path = tmp_path / "reelhook.db"
    prepare(path)
    await copy(path, target, quiet)
    assert await run_on(target, "SELECT nextval('attempts_id_seq')") == [(1,)]


async def test_leases_are_free_in_the_target(source: Path, target: str) -> None:
    await copy(source, target, quiet)
    rows = await run_on(target, "SELECT DISTINCT lease_until, epoch FROM leases")
    assert rows == [(0, 7)]


async def test_what_differs_is_found_by_its_checksum(source: Path, target: str) -> None:
    migrations.migrate(target)
    await run_on(
        target,
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.id = 3 THEN NEW.duration_ms := NEW.duration_ms + 1; END IF;"
        " RETURN NEW; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION spoil()",
    )
    with pytest.raises(
        CopyError, match=r"The table attempts is not the same .* run the copy again"
    ):
        await copy(source, target, quiet)
    assert migrations.pending(source) == []  # the source serves as before
    await run_on(target, "DROP TRIGGER spoil ON attempts")
    copied = await copy(source, target, quiet)
    assert copied.resumed
    assert await run_on(target, "SELECT duration_ms FROM attempts WHERE id = 3") == [(5,)]


# -- interruptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["jobs", "attempts"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_interrupted_copy_goes_on_without_duplicates(
    source: Path, target: str, kind: str, table: str, tmp_path: Path
) -> None:
    there = tmp_path / "other.db" if kind == "sqlite" else target
    grow(source, 2 * sides.BATCH_ROWS)
    await cut_off(source, there, table)
    with pytest.raises(SettingsError, match="a copy that is not finished"):
        migrations.pending(there)
    assert migrations.pending(source) == []
    seen: list[str] = []
    copied = await copy(source, there, lambda what, at, *_: seen.append(f"{what} {at}"))
    assert copied.resumed
    assert "Copying accounts" not in seen  # that was there already
    assert copied.tables["attempts"].rows > 2 * sides.BATCH_ROWS
    assert migrations.pending(there) == []


async def test_a_source_that_changed_meanwhile_is_copied_anew(source: Path, target: str) -> None:
    await cut_off(source, target, "attempts")
    execute(source, "UPDATE jobs SET error = 'changed' WHERE id = 'failed'")
    execute(source, "DELETE FROM jobs WHERE id = 'canceled'")
    assert (await copy(source, target, quiet)).resumed
    rows = await run_on(target, "SELECT id FROM jobs WHERE error = 'changed' OR id = 'canceled'")
    assert rows == [("failed",)]


async def test_at_no_moment_are_both_open(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "other.db"
    mark = sides.TransferDatabase.mark

    async def marked(self: sides.TransferDatabase, version: str) -> None:
        await mark(self, version)
        if version.startswith(migrations.MOVED):
            raise CutOffError

    monkeypatch.setattr(sides.TransferDatabase, "mark", marked)
    with pytest.raises(CutOffError):
        await copy(source, there, quiet)
    monkeypatch.undo()
    for database in (source, there):
        with pytest.raises(SettingsError):
            migrations.pending(database)
    assert (await copy(source, there, quiet)).resumed
    assert migrations.pending(there) == []


# -- what is refused -------------------------------------------------------------------------------


async def test_the_source_is_closed_until_the_copy_is_thrown_away(
    source: Path, tmp_path: Path
) -> None:
    await copy(source, tmp_path / "one.db", quiet)
    with pytest.raises(SettingsError, match="moved to another one; set DATABASE_URL"):
        migrations.pending(source)
    with pytest.raises(SettingsError, match="was already moved to another database"):
        await copy(source, tmp_path / "two.db", quiet)
    await reopen(source)
    assert migrations.pending(source) == []
    with pytest.raises(SettingsError, match="was not closed by a copy"):
        await reopen(source)
    await copy(source, tmp_path / "two.db", quiet)


async def test_a_target_with_anything_in_it_is_refused_and_left_alone(
    source: Path, target: str
) -> None:
    await run_on(target, "CREATE TABLE guests (name TEXT)")
    with pytest.raises(SettingsError, match="has other data"):
        await copy(source, target, quiet)
    assert await run_on(
        target, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    ) == [("guests",)]
    await run_on(target, "DROP TABLE guests")
    migrations.migrate(target)
    await run_on(target, "INSERT INTO keys VALUES ('webhook', 'x')")
    with pytest.raises(SettingsError, match="has other data"):
        await copy(source, target, quiet)
    assert await run_on(target, "SELECT count(*) FROM keys") == [(1,)]


async def test_a_source_in_use_is_refused(source: Path, target: str) -> None:
    with FileLock(source), pytest.raises(SettingsError, match="is already running"):
        await copy(source, target, quiet)


async def test_a_target_in_use_is_refused(
    source: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelhook.storage.transfer.postgres.LEAVE_SECONDS", 0.0)
    database = await PostgreSQL.open(target)
    with pytest.raises(SettingsError, match="is in use by others"):
        await copy(source, target, quiet)
    await database.close()


async def test_a_source_with_a_worker_is_refused(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelhook.storage.transfer.postgres.LEAVE_SECONDS", 0.0)
    migrations.migrate(target)
    database = await PostgreSQL.open(target)
    await database.write(lambda: leases.heartbeat("alive", ["lane:00"], 5_000))
    await database.close()
    with pytest.raises(SettingsError, match="is in use by others"):
        await copy(target, tmp_path / "other.db", quiet)


async def test_a_source_that_lacks_revisions_is_refused(tmp_path: Path, target: str) -> None:
    migrations.migrate(tmp_path / "old.db", 2)
    with pytest.raises(SettingsError, match="apply all revisions first"):
        await copy(tmp_path / "old.db", target, quiet)


async def test_nothing_is_copied_from_nowhere_or_onto_itself(source: Path, target: str) -> None:
    for one in (source.with_name("none.db"), source.with_name("x") / "none.db"):
        with pytest.raises(SettingsError, match="There is no database"):
            await copy(one, target, quiet)
        assert not one.exists()
    with pytest.raises(SettingsError, match="the same database"):
        await copy(source, source, quiet)


async def test_a_schema_is_not_changed_while_a_copy_goes_on(source: Path, target: str) -> None:
    """A server that starts meanwhile waits for the lock that the copy holds."""
    waiting: list[asyncio.Task[Copied]] = []

    def tell(what: str, _table: str, _done: int, _total: int) -> None:
        if not waiting:
            waiting.append(asyncio.create_task(copy(target, source.with_name("x.db"), quiet)))

    await copy(source, target, tell)
    assert (await waiting[0]).tables["jobs"].rows > 0
