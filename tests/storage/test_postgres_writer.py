"""PostgreSQL alone: few round trips, and a feed that several writers share."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest

from reelhook.domain.errors import StoreError
from reelhook.domain.job import Job
from reelhook.ports import ALL_JOBS
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.postgres.pipeline import Pipeline
from reelhook.storage.store import Store

from .postgres_databases import fresh_database
from .samples import CAT, NOW, RUNNING, change, new, queued, statement


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_url) as one:
        yield one


@contextlib.asynccontextmanager
async def worker(url: str) -> AsyncIterator[PostgreSQL]:
    database = await PostgreSQL.open(url)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each statement was sent, with however many sets of parameters."""
    sent: Counter[str] = Counter()
    usual = Pipeline._run_batch

    async def counted(self: Pipeline, sql: str, batch: Sequence[Sequence[Any]]) -> Any:
        sent[sql] += 1
        return await usual(self, sql, batch)

    monkeypatch.setattr(Pipeline, "_run_batch", counted)
    return sent


async def test_writes_side_by_side_share_their_round_trips(
    url: str, round_trips: Counter[str]
) -> None:
    async with worker(url) as database:
        store = Store(database)
        round_trips.clear()  # opening it takes some
        await store.create(new())
        alone = round_trips.total()
        round_trips.clear()
        await asyncio.gather(*(store.create(new(f"many_{n}")) for n in range(50)))
        assert round_trips.total() == alone


async def test_a_round_is_recorded_with_as_many_round_trips_as_one_change(
    url: str, round_trips: Counter[str]
) -> None:
    async with worker(url) as database:
        store = Store(database)
        jobs = [await queued(store, new(f"job_{n}"), f"video_{n}") for n in range(22)]
        first, second, *others = [change(job.apply(RUNNING, NOW)) for job in jobs]
        await store.record([first], None)  # this one wakes their endpoint as well
        round_trips.clear()
        await store.record([second], None)
        alone = round_trips.total()
        round_trips.clear()
        assert len(await store.record(others, None)) == 20
        assert round_trips.total() == alone


async def test_a_text_that_the_database_can_not_keep_harms_no_other(url: str) -> None:
    async with worker(url) as database:
        store = Store(database)
        bad = new("bad", request=type(CAT)("\0", model="sora-2"))
        outcomes = await asyncio.gather(
            *(store.create(new(f"job_{n}")) for n in range(5)),
            store.create(bad),
            store.create(new("job_\ud800")),
            return_exceptions=True,
        )
        assert [type(one).__name__ for one in outcomes] == ["Created"] * 5 + ["StoreError"] * 2
        assert len((await store.jobs(ALL_JOBS, 100, None)).jobs) == 5


async def test_the_feed_misses_nothing_that_several_workers_write(url: str) -> None:
    async with worker(url) as one, worker(url) as other:
        stores = [Store(one), Store(other)]
        jobs = [await queued(stores[0], new(f"job_{n}"), f"video_{n}") for n in range(40)]
        written = asyncio.Event()

        async def write(store: Store, mine: list[Job]) -> None:
            for percent in (10, 20, 30, 40, 50):
                for job in mine:
                    now = (await store.job(job.id)).job
                    report = type(RUNNING)(running=True, percent=percent)
                    await store.record([change(now.apply(report, NOW))], None)

        async def follow() -> list[str]:
            found: list[str] = []
            while True:
                last = written.is_set()
                page = await stores[1].events_after(found[-1] if found else None, 1000)
                found += [event.event_id for event in page.events]
                if last and not page.events:
                    return found

        following = asyncio.create_task(follow())
        quarters = [(stores[n % 2], jobs[n::4]) for n in range(4)]
        await asyncio.gather(*(write(*quarter) for quarter in quarters))
        written.set()
        ids = [event.event_id for event in await stores[0].events([j.id for j in jobs], {})]
        found = await following
        assert len(found) == len(set(found))
        assert sorted(found) == sorted(ids)


async def test_the_next_number_waits_for_a_transaction_that_numbers(url: str) -> None:
    async with worker(url) as one, worker(url) as other:
        jobs = [await queued(Store(one), new(f"job_{n}"), f"video_{n}") for n in range(2)]
        async with other._pool.borrowed(10) as connection:
            transaction = connection.transaction()
            await transaction.start()
            numbering = Pipeline(connection)
            await numbering.run(statement_last("SELECT 1"))
            await numbering.finish()
            recording = asyncio.create_task(
                Store(one).record([change(jobs[0].apply(RUNNING, NOW))], None)
            )
            done, _ = await asyncio.wait([recording], timeout=0.2)
            assert not done
            await transaction.commit()
        assert await recording == ["job_0"]


def statement_last(text: str) -> Operation[None]:
    yield Statement(text, (), last=True)


# -- reads -----------------------------------------------------------------------------------------


def moments(count: int) -> Operation[list[object]]:
    """When the transaction of each statement began."""
    found = []
    for _ in range(count):
        rows = yield Statement("SELECT now()")
        found.append(rows[0][0])
    return found


async def test_all_statements_of_a_read_are_in_one_transaction(url: str) -> None:
    async with worker(url) as database:
        for count in (1, 3, 1, 2):
            assert len(set(await database.read(partial(moments, count)))) == 1


@pytest.mark.parametrize("before", [0, 1])
async def test_a_read_can_not_write(url: str, before: int) -> None:
    def writing() -> Operation[None]:
        for _ in range(before):
            yield Statement("SELECT 1")
        yield Statement("INSERT INTO keys (name, value) VALUES ('a', 'b')")

    async with worker(url) as database:
        with pytest.raises(StoreError, match="read-only"):
            await database.read(writing)
        assert await database.read(lambda: statement("SELECT 1 FROM keys WHERE name = 'a'")) == []
