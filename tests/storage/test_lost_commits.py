"""A lost reply to COMMIT: the outcome is determined, or reported as unknown."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import asyncpg
import pytest
from lossy_proxy import LossyProxy, lossy

from reelhook.domain.errors import CommitUnknownError, JobNotFoundError, StoreError
from reelhook.storage.operation import Database, Operation, Statement
from reelhook.storage.postgres import commit_outcome as verdict
from reelhook.storage.postgres import pool
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.sqlite import group_commit as sqlite_group
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .failing_files import FailingFiles, failing_files
from .gates import held
from .postgres_databases import emptied_database
from .samples import new, statement

RECEIPTS = "SELECT count(*) FROM commits"
READ = "SELECT written FROM commits"


async def is_there(store: Store, job_id: str) -> bool:
    try:
        await store.job(job_id)
    except JobNotFoundError:
        return False
    return True


async def count(database: Database) -> int:
    ((number,),) = await database.read(lambda: statement(RECEIPTS))
    return int(number)


# -- both ------------------------------------------------------------------------------------------


async def test_receipts_do_not_add_up(database: Database, store: Store) -> None:
    for number in range(5):
        await store.create(new(f"job_{number}"))
        assert await count(database) == 1


async def test_what_writes_nothing_leaves_no_receipt(database: Database, store: Store) -> None:
    await database.write(lambda: statement("SELECT 1"))
    assert await count(database) == 0


async def test_receipts_of_processes_that_are_gone_are_forgotten_with_old_keys(
    database: Database, store: Store
) -> None:
    insert = "INSERT INTO commits (id, written, at) VALUES ('gone', TRUE, 5)"
    await database.write(lambda: statement(insert))
    await store.forget_idempotency_keys(6)
    rows = await database.read(lambda: statement("SELECT 1 FROM commits WHERE id = 'gone'"))
    assert rows == []


# -- PostgreSQL ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Behind:
    """A database behind a proxy, and the URL that leads around it."""

    proxy: LossyProxy
    url: str
    direct: str
    database: PostgreSQL

    @property
    def store(self) -> Store:
        return Store(self.database)

    def lose(self, *, delivered: bool) -> None:
        """Lose one response to COMMIT."""
        self.proxy.lose(delivered=delivered)


@asynccontextmanager
async def behind(url: str) -> AsyncIterator[Behind]:
    with lossy(url) as (proxy, through):
        database = await PostgreSQL.open(through)
        try:
            yield Behind(proxy, through, url, database)
        finally:
            await database.close()


@pytest.fixture
async def lost(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Behind]:
    # However long a test takes to deliver a COMMIT after all, the server waits for it.
    monkeypatch.setitem(pool._SESSION, "idle_in_transaction_session_timeout", "0")
    async with emptied_database(postgres_url) as url, behind(url) as one:
        yield one


async def test_a_write_whose_commit_was_done_is_told_as_written(lost: Behind) -> None:
    lost.lose(delivered=True)
    assert (await lost.store.create(new())).job_id == "job_1"
    assert lost.proxy.cut == 1
    assert await is_there(lost.store, "job_1")


async def test_all_that_share_a_transaction_are_told_as_written(lost: Behind) -> None:
    lost.lose(delivered=True)
    names = [f"job_{number}" for number in range(20)]
    created = await asyncio.gather(*(lost.store.create(new(name)) for name in names))
    assert [one.job_id for one in created] == names
    assert lost.proxy.cut == 1


async def test_a_commit_that_never_came_is_ended_at_the_server_and_told_as_not_written(
    lost: Behind,
) -> None:
    lost.lose(delivered=False)
    with pytest.raises(StoreError):
        await lost.store.create(new())
    lost.proxy.release()
    assert lost.proxy.cut == 1
    assert not await is_there(lost.store, "job_1")
    await lost.store.create(new())  # so it may be sent again, and is there once
    assert await is_there(lost.store, "job_1")


async def test_what_is_unknown_may_be_written_after_that_was_said(
    lost: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why an absent row proves nothing."""
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", 0.0)
    lost.lose(delivered=False)
    with pytest.raises(CommitUnknownError):
        await lost.store.create(new())
    assert not await is_there(lost.store, "job_1")
    lost.proxy.release()
    async with asyncio.timeout(10):
        while not await is_there(lost.store, "job_1"):  # noqa: ASYNC110 - the server's state
            await asyncio.sleep(0.01)


async def test_what_was_told_as_unknown_is_settled_once_the_database_is_back(
    lost: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", 0.0)
    lost.lose(delivered=False)
    with pytest.raises(CommitUnknownError):
        await lost.store.create(new())
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", 5.0)
    connection = await asyncpg.connect(lost.direct)
    async with asyncio.timeout(10):
        while await connection.fetchval(READ) is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    await connection.close()
    lost.proxy.release()  # too late: its connection was closed at the server
    await lost.store.create(new("job_2"))
    assert [await is_there(lost.store, f"job_{n}") for n in (1, 2)] == [False, True]


async def test_closing_while_a_commit_is_under_way_says_that_it_is_unknown(
    lost: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "BLOCKED_SECONDS", 60)
    lost.lose(delivered=False)
    writing = asyncio.create_task(lost.store.create(new()))
    while not lost.proxy.cut:  # noqa: ASYNC110 - another program's state
        await asyncio.sleep(0.01)
    lost.proxy.open_to_new = False
    await lost.database.close()
    with pytest.raises(CommitUnknownError):
        await writing


async def test_a_transaction_is_ended_for_nobody_but_the_one_that_lost_it(lost: Behind) -> None:
    other = await asyncpg.connect(lost.direct)
    await other.execute("BEGIN; INSERT INTO commits VALUES ('another', TRUE, 0)")
    lost.lose(delivered=True)
    await lost.store.create(new())
    await other.execute("COMMIT")
    assert await other.fetchval("SELECT written FROM commits WHERE id = 'another'")
    await other.close()


async def test_the_loser_of_a_race_for_a_key_is_done_again(lost: Behind) -> None:
    """As with two processes that get the same Idempotency-Key at the same time."""
    other = await asyncpg.connect(lost.direct)
    insert = "INSERT INTO keys (name, value) VALUES ('name', 'other')"
    looked = asyncio.Event()

    def look_and_put() -> Operation[str]:
        rows = yield Statement("SELECT value FROM keys WHERE name = 'name'")
        if rows:
            return str(rows[0][0])
        looked.set()
        yield Statement("INSERT INTO keys (name, value) VALUES ('name', 'ours')")
        return "ours"

    await other.execute(f"BEGIN; {insert}")
    writing = asyncio.create_task(lost.database.write(look_and_put))
    await looked.wait()
    await other.execute("COMMIT")
    assert await writing == "other"
    await other.close()


# -- SQLite ----------------------------------------------------------------------------------------


@pytest.fixture
def files() -> Iterator[FailingFiles]:
    with failing_files() as one:
        yield one


@pytest.fixture
async def failing(files: FailingFiles, database_path: Path) -> AsyncIterator[SQLite]:
    """A database whose syncs can fail."""
    database = SQLite(database_path)
    try:
        yield database
    finally:
        files.failures = 0
        await database.close()


def restarted(path: Path, folder: Path) -> Path:
    """Return the files as a restart after a power cut finds them."""
    for one in path.parent.glob(f"{path.name}*"):
        if not one.name.endswith((".lock", "-shm")):
            shutil.copy(one, folder / one.name)
    return folder / path.name


def jobs_in(path: Path) -> list[str]:
    connection = apsw.Connection(str(path))
    try:
        return [str(row[0]) for row in connection.execute("SELECT id FROM jobs ORDER BY id")]
    finally:
        connection.close()


async def test_an_error_after_the_commit_takes_nothing_back(sqlite: SQLite) -> None:
    def fail(*_: object) -> int:
        raise apsw.IOError("after the commit, of the test")

    sqlite._connection.set_wal_hook(fail)
    store = Store(sqlite)
    await store.create(new())
    assert await is_there(store, "job_1")


async def test_a_sync_that_failed_once_leaves_nothing_that_a_restart_finds(
    files: FailingFiles, failing: SQLite, tmp_path: Path
) -> None:
    store = Store(failing)
    await store.create(new("before"))
    async with held(failing):
        files.failures = 2  # the holder's own, and that of the group
        writes = [asyncio.create_task(store.create(new(f"job_{n}"))) for n in range(3)]
    for write in writes:
        with pytest.raises(StoreError):
            await write
    (tmp_path / "restarted").mkdir()
    assert jobs_in(restarted(failing._path, tmp_path / "restarted")) == ["before"]
    await store.create(new("job_1"))
    assert await is_there(store, "job_1")


async def test_syncs_that_go_on_failing_leave_it_unknown(
    files: FailingFiles,
    failing: SQLite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite_group, "CLAIM_AGAIN_SECONDS", 0)
    store = Store(failing)
    await store.create(new("before"))
    files.failures = 10**6
    with pytest.raises(CommitUnknownError):
        await store.create(new())
    assert not await is_there(store, "job_1")
    files.failures = 0
    await store.create(new("after"))
    (tmp_path / "restarted").mkdir()
    # What is committed later takes its place in the log for good.
    assert jobs_in(restarted(failing._path, tmp_path / "restarted")) == ["after", "before"]


async def test_a_sync_that_fails_may_leave_what_a_restart_finds(
    files: FailingFiles, failing: SQLite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why an error of COMMIT is no proof that nothing was written."""
    store = Store(failing)
    await store.create(new("before"))
    monkeypatch.setattr(sqlite_group, "CLAIM_TRIES", 0)
    files.failures = 1
    with pytest.raises(CommitUnknownError):
        await store.create(new())
    (tmp_path / "restarted").mkdir()
    assert jobs_in(restarted(failing._path, tmp_path / "restarted")) == ["before", "job_1"]


async def test_a_commit_that_is_refused_is_not_written(sqlite: SQLite) -> None:
    refusals = [True]
    sqlite._connection.set_commit_hook(lambda: bool(refusals and refusals.pop()))
    store = Store(sqlite)
    with pytest.raises(StoreError):
        await store.create(new())
    assert not await is_there(store, "job_1")
    await store.create(new())
    assert await is_there(store, "job_1")


async def test_a_rollback_that_fails_ends_no_writer(sqlite: SQLite) -> None:
    await sqlite.write(lambda: statement("CREATE TABLE full (x)"))
    connection = sqlite._connection
    failures = ["ROLLBACK"]

    def trace(_: object, sql: str, __: object) -> bool:
        if sql in failures:
            raise apsw.IOError("no way back, of the test")
        return True

    connection.exec_trace = trace
    store = Store(sqlite)

    def full() -> Operation[None]:
        yield Statement("INSERT INTO full VALUES (1)")
        raise apsw.FullError("of the test")

    with pytest.raises(StoreError):
        await sqlite.write(full)
    await store.create(new())
    assert sqlite._connection is not connection
    assert await is_there(store, "job_1")
    assert await sqlite.read(lambda: statement("SELECT count(*) FROM full")) == [(0,)]


async def test_a_connection_that_can_not_be_replaced_refuses_writes_until_it_can(
    sqlite: SQLite, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, usual = sqlite._connection, sqlite._open
    connection.close()

    def gone() -> apsw.Connection:
        raise apsw.CantOpenError("of the test")

    monkeypatch.setattr(sqlite, "_open", gone)
    store = Store(sqlite)
    with pytest.raises(StoreError):
        await store.create(new())
    monkeypatch.setattr(sqlite, "_open", usual)
    await store.create(new())
    assert await is_there(store, "job_1")
