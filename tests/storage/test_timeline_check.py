"""A PostgreSQL database that continues, and those that lack commits: copies and other servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from bench.clusters import cluster, standby

from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.schema import migrate
from reelhook.storage.store import Store

from .postgres_databases import fresh_database, on
from .restored import check_raised, check_restored, check_untouched, furnish, states
from .samples import FINISHED, NOW, moved, new, stored


@asynccontextmanager
async def running(url: str, *, pooled: bool = False) -> AsyncIterator[Store]:
    """The store as a server has it, which has just said that it is alive."""
    database = await PostgreSQL.open(url, pooled=pooled)
    try:
        store = Store(database)
        await store.free_leases()
        yield store
    finally:
        await database.close()


async def execute(url: str, *statements: str) -> None:
    connection = await postgres.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("pooled", [False, True])
async def test_whatever_was_left_goes_on_as_it_was(postgres_url: str, pooled: bool) -> None:
    async with fresh_database(postgres_url) as url:
        async with running(url) as store:
            await furnish(store)
            before = await states(store)
        async with running(url, pooled=pooled) as store, running(url) as other:
            await other.free_leases()
            await check_untouched(store, before)


async def test_a_copy_on_the_same_server_knows_that_it_is_one(postgres_url: str) -> None:
    async with fresh_database(postgres_url) as url:
        async with running(url) as store:
            await furnish(store)
            before = await states(store)
        name = urlsplit(url).path.removeprefix("/")
        await execute(postgres_url, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        copy = on(postgres_url, f"{name}_copy")
        try:
            async with running(copy) as store:
                await check_restored(store, before)
                after = await states(store)
            async with running(copy) as store:
                await check_untouched(store, after)
            async with running(url) as store:
                await check_untouched(store, before)
        finally:
            await execute(postgres_url, f"DROP DATABASE {name}_copy WITH (FORCE)")


async def test_one_of_several_processes_finds_out_for_all(postgres_url: str) -> None:
    async with fresh_database(postgres_url) as url:
        async with running(url) as store:
            await furnish(store)
            before = await states(store)
        await execute(url, "UPDATE keys SET value = 'elsewhere' WHERE name = 'history'")
        async with running(url) as store, running(url) as other:
            await check_restored(store, before)
            after = await states(store)
            await other.free_leases()
            await check_untouched(other, after)


@pytest.mark.long
async def test_a_server_that_was_started_again_raises_sequences_and_doubts_nothing() -> None:
    with cluster() as server:
        migrate.migrate(server.url)
        async with running(server.url) as store:
            await furnish(store)
            before = await states(store)
        server.stop()
        server.start()
        async with running(server.url) as store:
            after = await check_raised(store, before)
            assert after["waiting"].status is before["waiting"].status


@pytest.mark.long
async def test_a_standby_that_takes_over_without_the_last_commits_is_noticed_while_we_run() -> None:
    with cluster() as primary, standby(primary) as follower:
        migrate.migrate(primary.url)
        url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{follower.port}/postgres"
        async with running(url) as store:
            await furnish(store)
            before = await states(store)
            await caught_up(primary.url)
            follower.stop()
            lost = before["rendering"].apply(FINISHED, NOW + 1)
            await moved(store, lost)
            primary.kill()
            follower.start()
            follower.promote()
            await first_write(store)
            await check_restored(store, before)
            job = (await states(store))["rendering"]
            told = job.apply(FINISHED, NOW + 1)
            await moved(store, told)
            assert told[1][0].id != lost[1][0].id
            assert told[1][0].sequence > lost[1][0].sequence


async def caught_up(url: str) -> None:
    connection = await postgres.connect(url)
    try:
        while not await connection.fetchval(
            "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"
        ):
            pass
    finally:
        await connection.close()


async def first_write(store: Store) -> None:
    """Write as soon as that is possible again."""
    for _ in range(100):
        try:
            await stored(store, new("afterwards"))
        except DATABASE_FAILURES:
            continue
        return
    raise AssertionError("the standby took no writes")
