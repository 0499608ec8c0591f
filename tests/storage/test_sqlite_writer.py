import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import apsw
import pytest

from reelhook.domain.errors import JobNotFoundError, StoreError
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.sqlite.driver import GROUP_SIZE_MAX, SQLite, connect, read_key
from reelhook.storage.sqlite.group_commit import run
from reelhook.storage.store import Store

from .gates import Gate, held
from .samples import statement

INSERT = "INSERT INTO keys (name, value) VALUES (?1, ?2)"


def put(name: str, value: str = "") -> Operation[str]:
    yield Statement(INSERT, (name, value))
    return name


def names() -> Operation[list[str]]:
    rows = yield Statement("SELECT name FROM keys ORDER BY name")
    return [row[0] for row in rows]


def put_two_and_fail(name: str, error: Exception) -> Operation[None]:
    for number in range(2):
        yield from put(f"{name}-{number}")
    raise error


@pytest.fixture
def commits(sqlite: SQLite) -> Iterator[list[None]]:
    """One entry for each transaction that was committed."""
    seen: list[None] = []
    connection = sqlite._connection
    connection.set_commit_hook(lambda: bool(seen.append(None)))  # type: ignore[func-returns-value] # False: go on
    yield seen
    connection.set_commit_hook(None)


# -- group commit ----------------------------------------------------------------------------------


async def test_writes_that_wait_together_share_one_transaction(
    sqlite: SQLite, commits: list[None]
) -> None:
    async with held(sqlite):
        writes = [asyncio.create_task(sqlite.write(partial(put, f"{n:03}"))) for n in range(200)]
    assert await asyncio.gather(*writes) == [f"{n:03}" for n in range(200)]
    assert len(commits) == 2  # the holder's, and the one that all others share
    assert await sqlite.read(names) == [f"{n:03}" for n in range(200)]


async def test_a_group_has_a_greatest_size(sqlite: SQLite, commits: list[None]) -> None:
    async with held(sqlite):
        count = GROUP_SIZE_MAX + 1
        writes = [asyncio.create_task(sqlite.write(partial(put, str(n)))) for n in range(count)]
    await asyncio.gather(*writes)
    assert len(commits) == 3


async def test_writes_take_effect_in_the_order_they_came(sqlite: SQLite) -> None:
    upsert = (
        "INSERT INTO keys (name, value) VALUES ('n', ?1)"
        " ON CONFLICT (name) DO UPDATE SET value = keys.value || excluded.value"
    )
    async with held(sqlite):
        writes = [
            asyncio.create_task(sqlite.write(partial(statement, upsert, c))) for c in "abcdef"
        ]
    await asyncio.gather(*writes)
    assert await sqlite.read(lambda: statement("SELECT value FROM keys")) == [("abcdef",)]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (JobNotFoundError(), JobNotFoundError),
        (ZeroDivisionError(), ZeroDivisionError),
        (apsw.ConstraintError("of the test"), StoreError),
    ],
)
async def test_an_operation_that_fails_undoes_itself_alone(
    sqlite: SQLite, commits: list[None], error: Exception, raised: type[Exception]
) -> None:
    async with held(sqlite):
        first = asyncio.create_task(sqlite.write(lambda: put("first")))
        failing = asyncio.create_task(sqlite.write(lambda: put_two_and_fail("failing", error)))
        last = asyncio.create_task(sqlite.write(lambda: put("last")))
    assert [await first, await last] == ["first", "last"]
    with pytest.raises(raised):
        await failing
    assert await sqlite.read(names) == ["first", "last"]
    assert len(commits) == 2


@pytest.mark.parametrize(
    ("fails", "runs"),
    [(lambda: put_two_and_fail("failing", JobNotFoundError()), 2), (lambda: put("twice"), 1)],
    ids=["half-way", "before-it-wrote-anything"],
)
async def test_a_group_is_done_again_only_for_what_failed_half_way(
    sqlite: SQLite, fails: Callable[[], Operation[object]], runs: int
) -> None:
    await sqlite.write(lambda: put("twice"))
    begun: list[None] = []

    def counted() -> Operation[str]:
        begun.append(None)
        return (yield from put("other"))

    async with held(sqlite):
        other = asyncio.create_task(sqlite.write(counted))
        failing = asyncio.create_task(sqlite.write(fails))
    assert await other == "other"
    with pytest.raises((JobNotFoundError, StoreError)):
        await failing
    assert len(begun) == runs
    assert await sqlite.read(names) == ["other", "twice"]


async def test_what_the_database_refuses_is_a_store_error_that_names_the_reason(
    sqlite: SQLite,
) -> None:
    await sqlite.write(lambda: put("one"))
    with pytest.raises(StoreError, match=r"refused a write: UNIQUE constraint failed: keys\.name"):
        await sqlite.write(lambda: put("one"))
    with pytest.raises(StoreError, match="no such table"):
        await sqlite.write(lambda: statement("DELETE FROM nowhere"))
    assert await sqlite.write(lambda: put("two")) == "two"


async def test_a_value_that_no_column_takes_harms_nobody_else(sqlite: SQLite) -> None:
    async with held(sqlite):
        good = asyncio.create_task(sqlite.write(lambda: put("good")))
        bad = asyncio.create_task(sqlite.write(lambda: put("\ud800")))
        huge = asyncio.create_task(sqlite.write(lambda: statement(INSERT, "huge", 2**80)))
    assert await good == "good"
    for write in (bad, huge):
        with pytest.raises((UnicodeError, OverflowError)):
            await write
    assert await sqlite.read(names) == ["good"]


async def test_a_full_disk_fails_the_whole_group_and_the_writer_lives_on(sqlite: SQLite) -> None:
    connection = sqlite._connection
    usual = connection.pragma("max_page_count")
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    async with held(sqlite):
        small = asyncio.create_task(sqlite.write(lambda: put("small")))
        large = asyncio.create_task(sqlite.write(lambda: put("large", "x" * 10**6)))
        after = asyncio.create_task(sqlite.write(lambda: put("after")))
    for write in (small, large, after):
        with pytest.raises(StoreError, match=r"can't be written: .*full"):
            await write
    assert await sqlite.read(names) == []
    connection.pragma("max_page_count", usual)
    assert await sqlite.write(lambda: put("large", "x" * 10**6)) == "large"


async def test_a_caller_that_was_canceled_takes_nothing_back(sqlite: SQLite) -> None:
    async with held(sqlite):
        canceled = asyncio.create_task(sqlite.write(lambda: put("canceled")))
        failing = asyncio.create_task(
            sqlite.write(lambda: put_two_and_fail("failing", JobNotFoundError()))
        )
        other = asyncio.create_task(sqlite.write(lambda: put("other")))
        await asyncio.sleep(0)
        canceled.cancel()
        failing.cancel()
    assert await other == "other"
    assert canceled.cancelled()
    assert failing.cancelled()
    assert await sqlite.read(names) == ["canceled", "other"]


# -- reads -----------------------------------------------------------------------------------------


async def test_a_read_never_sees_half_a_transaction(sqlite: SQLite) -> None:
    gate = Gate()

    def both() -> Operation[None]:
        yield from put("one")
        gate.stop()
        yield from put("two")

    writing = asyncio.create_task(sqlite.write(both))
    await gate.reached()
    assert await sqlite.read(names) == []
    gate.open()
    await writing
    assert await sqlite.read(names) == ["one", "two"]


async def test_all_statements_of_a_read_see_one_moment(sqlite: SQLite) -> None:
    gate = Gate()
    await sqlite.write(lambda: put("before"))

    def twice() -> Operation[tuple[list[str], list[str]]]:
        first = yield from names()
        gate.stop()
        second = yield from names()
        return first, second

    reading = asyncio.create_task(sqlite.read(twice))
    await gate.reached()
    await sqlite.write(lambda: put("meanwhile"))
    gate.open()
    assert await reading == (["before"], ["before"])
    assert await sqlite.read(names) == ["before", "meanwhile"]


async def test_a_read_can_not_write(sqlite: SQLite) -> None:
    with pytest.raises(StoreError, match=r"can't be read: .*readonly"):
        await sqlite.read(lambda: put("one"))
    assert await sqlite.read(names) == []


async def test_a_read_that_fails_leaves_its_connection_usable(sqlite: SQLite) -> None:
    for _ in range(4):  # more often than there are readers
        with pytest.raises(StoreError, match=r"can't be read: .*no such table"):
            await sqlite.read(lambda: statement("SELECT * FROM nowhere"))
        with pytest.raises(JobNotFoundError):
            await Store(sqlite).job("job_1")
    await sqlite.write(lambda: put("one"))
    assert await sqlite.read(names) == ["one"]


async def test_a_file_that_can_not_be_opened_can_not_be_read_now(sqlite: SQLite) -> None:
    path = sqlite._path
    away = path.rename(path.with_name("away"))
    with pytest.raises(StoreError):
        await sqlite.read(names)
    away.rename(path)
    assert await sqlite.read(names) == []


# -- opening and closing ---------------------------------------------------------------------------


async def test_every_write_is_synced_and_foreign_keys_are_held(sqlite: SQLite) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    assert [sqlite._connection.pragma(one) for one in pragmas] == ["wal", 2, 1]
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await sqlite.write(
            lambda: statement(
                "INSERT INTO deliveries (job_id, endpoint_id, lane, url)"
                " VALUES ('nobody', '', 0, '')"
            )
        )


async def test_closing_finishes_what_was_queued(sqlite: SQLite) -> None:
    async with held(sqlite):
        writes = [asyncio.create_task(sqlite.write(partial(put, f"{n:02}"))) for n in range(50)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(sqlite.close())
    await closing
    assert len(await asyncio.gather(*writes)) == 50
    connection = connect(sqlite._path, read_only=True)
    assert run(connection, names()) == [f"{n:02}" for n in range(50)]
    connection.close()


async def test_a_closed_database_says_so_to_readers_and_writers(sqlite: SQLite) -> None:
    await sqlite.close()
    with pytest.raises(StoreError, match="is closed"):
        await sqlite.write(lambda: put("late"))
    with pytest.raises(StoreError, match="is closed"):
        await sqlite.read(names)
    await sqlite.close()  # twice does no harm


async def test_a_key_can_be_read_beside_the_owner_of_the_file(sqlite: SQLite) -> None:
    await Store(sqlite).key("webhook", "secret")
    assert read_key(sqlite._path, "webhook") == "secret"
    assert read_key(sqlite._path, "download") is None
    assert read_key(sqlite._path.with_name("missing.db"), "webhook") is None
    assert not sqlite._path.with_name("missing.db").exists()
