"""Servers that are unreachable, do not respond, or are one of several in a URL."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from bench.clusters import Cluster, cluster

from reelhook.domain.errors import StoreError
from reelhook.ports import ALL_JOBS
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.postgres import group_commit as group
from reelhook.storage.postgres import pool
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.postgres.failover import FAILURES, Failover
from reelhook.storage.postgres.url import single_urls
from reelhook.storage.schema import migrate
from reelhook.storage.store import Store

from .samples import new


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as one:
        migrate.migrate(one.url)
        yield one


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://db/name", ["postgresql://db/name"]),
        (
            "postgresql://u:p%40@a:1,b:2/name?x=1,2",
            ["postgresql://u:p%40@a:1/name?x=1,2", "postgresql://u:p%40@b:2/name?x=1,2"],
        ),
        ("postgresql://a,[::1]:5", ["postgresql://a", "postgresql://[::1]:5"]),
        ("postgresql:///name?host=/run/a,b", ["postgresql:///name?host=/run/a,b"]),
        ("postgresql://u@a,b?user=x/y", ["postgresql://u@a?user=x/y", "postgresql://u@b?user=x/y"]),
    ],
)
def test_a_url_names_one_server_or_several(url: str, expected: list[str]) -> None:
    assert single_urls(url) == expected


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Listen, take connections, and never say a word."""
    connected: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: connected.append(writer), "127.0.0.1")
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        for writer in connected:
            writer.close()
        listener.close()


@pytest.mark.long
async def test_of_several_servers_a_silent_one_is_passed_over_and_remembered(
    server: Cluster,
) -> None:
    async with silent() as port:
        servers = Failover(
            f"postgresql://postgres@127.0.0.1:{port},127.0.0.1:{server.port}/postgres"
        )
        started = time.monotonic()
        await (await servers.connect()).close()
        first = time.monotonic() - started
        await (await servers.connect()).close()
        assert first > 1.5
        assert time.monotonic() - started - first < 1


async def test_of_several_servers_the_one_that_takes_writes_is_chosen(server: Cluster) -> None:
    lone = await Failover(server.url).connect()
    await lone.execute("CREATE DATABASE reading")
    await lone.execute("ALTER DATABASE reading SET default_transaction_read_only = on")
    await lone.close()
    there = f"127.0.0.1:{server.port}"
    with pytest.raises(FAILURES):
        await Failover(f"postgresql://postgres@{there},{there}/reading").connect()
    chosen = f"postgresql://postgres@{there},{there}/reading?target_session_attrs=any"
    await (await Failover(chosen).connect()).close()


async def test_a_server_that_does_not_answer_is_given_up_and_found_again(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "QUEUE_SECONDS", 0.3)
    monkeypatch.setattr(group, "WRITE_SECONDS", 0.4)
    monkeypatch.setattr(postgres, "READ_SECONDS", 0.4)
    monkeypatch.setattr(pool, "ACQUIRE_SECONDS", 0.3)
    database = await PostgreSQL.open(server.url)
    store = Store(database)
    await store.create(new("before"))
    server.freeze()
    started = time.monotonic()
    try:
        writes = [store.create(new(f"meanwhile {number}")) for number in range(5)]
        late = asyncio.create_task(_after(0.2, store.create(new("meanwhile, later"))))
        told = await asyncio.gather(*writes, late, store.counts(), return_exceptions=True)
        assert {type(one) for one in told} == {StoreError}
        assert time.monotonic() - started < 3
    finally:
        server.thaw()
    await store.create(new("after"))
    assert {one.job.id for one in (await store.jobs(ALL_JOBS, 99, None)).jobs} == {
        "before",
        "after",
    }
    await database.close()


async def test_a_server_that_does_not_answer_holds_up_no_end(server: Cluster) -> None:
    database = await PostgreSQL.open(server.url)
    store = Store(database)
    server.freeze()
    try:
        writing = asyncio.create_task(store.create(new("never")))
        await asyncio.sleep(0)
        started = time.monotonic()
        await database.close()
        assert time.monotonic() - started < 8  # what SIGTERM may take in all
        with pytest.raises(StoreError):
            await writing
    finally:
        server.thaw()


async def _after(seconds: float, work: object) -> object:
    await asyncio.sleep(seconds)
    return await work  # type: ignore[misc] # a coroutine
