"""PostgreSQL stops, restarts, cuts connections, refuses writes: nothing that was taken is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest
from bench.databases import PostgresServer
from engine_stubs import Receiver, Upstream
from engine_waiting import until
from storage.postgres_databases import fresh_database

import reelhook
from reelhook import bootstrap
from reelhook.bootstrap.serving import Running


@pytest.fixture
async def database(own_postgres: PostgresServer) -> AsyncIterator[str]:
    async with fresh_database(own_postgres.url) as url:
        yield url


@pytest.fixture
async def running(
    settings: reelhook.Settings, database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    on_postgres = settings.model_copy(update={"database_url": database, "port": 0})
    async with bootstrap.server(on_postgres) as one:
        yield one


@asynccontextmanager
async def client(running: Running) -> AsyncIterator["Client"]:
    async with aiohttp.ClientSession() as session:
        yield Client(running.url, session)


class Client:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, script: str) -> tuple[int, str | None, Any]:
        async with self._session.post(
            f"{self._url}/api/generate",
            json={"script": script},
            headers={"Idempotency-Key": script},
        ) as answer:
            return answer.status, answer.headers.get("Retry-After"), await answer.json()

    async def taken(self, script: str) -> str:
        """Ask until it is taken, as a client does."""
        async with asyncio.timeout(60):
            while True:
                status, _, body = await self.ask(script)
                if status == 200:
                    return str(body["jobId"])
                assert status == 503, body
                await asyncio.sleep(0.1)

    async def ready(self) -> int:
        async with self._session.get(f"{self._url}/readyz") as answer:
            return answer.status


def completed(receiver: Receiver) -> set[str]:
    return {str(one["jobId"]) for one in receiver.bodies if one["status"] == "completed"}


def finish(upstream: Upstream) -> None:
    for video in upstream.videos.values():
        video.update(status="completed", progress=100)


async def told(receiver: Receiver, *job_ids: str) -> None:
    await until(lambda: completed(receiver) >= set(job_ids))


def created(upstream: Upstream, number: int) -> Callable[[], bool]:
    return lambda: len(upstream.videos) == number


async def test_a_server_that_stops_and_starts_again_loses_nothing(
    running: Running, own_postgres: PostgresServer, upstream: Upstream, receiver: Receiver
) -> None:
    async with client(running) as one:
        before = await one.taken("before")
        await until(created(upstream, 1))
        await asyncio.to_thread(own_postgres.stop)
        try:
            status, retry_after, body = await one.ask("meanwhile")
            assert status == 503
            assert retry_after is not None
            assert "sent" not in body
            assert await one.ready() == 503
            finish(upstream)
        finally:
            await asyncio.to_thread(own_postgres.start)
        await told(receiver, before)
        after = await one.taken("after")
        await until(created(upstream, 2))
        finish(upstream)
        await told(receiver, after)
        assert upstream.counts["create"] == 2


async def test_connections_that_are_cut_are_made_anew(
    running: Running, database: str, upstream: Upstream, receiver: Receiver
) -> None:
    async with client(running) as one:
        jobs = [await one.taken("before")]
        for number in range(3):
            await _cut_connections(database)
            jobs.append(await one.taken(f"after {number}"))
        await until(created(upstream, 4))
        finish(upstream)
        await told(receiver, *jobs)


async def test_a_database_that_takes_no_writes_is_told_to_clients(
    running: Running, database: str, upstream: Upstream, receiver: Receiver
) -> None:
    """As where the disk is full: what can't be kept is not accepted."""
    name = database.partition("?")[0].rpartition("/")[2]
    async with client(running) as one:
        await _administrate(database, f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        await _cut_connections(database)
        async with asyncio.timeout(60):
            while (await one.ask("too much"))[0] != 503:  # noqa: ASYNC110 - another program's state
                await asyncio.sleep(0.05)
        creations = upstream.counts["create"]
        status, retry_after, body = await one.ask("much more")
        assert (status, retry_after is None) == (503, False)
        assert "read-only" not in body["error"]  # the database's message is for the log
        await _administrate(
            database,
            "SET default_transaction_read_only=off",
            f"ALTER DATABASE {name} RESET default_transaction_read_only",
        )
        await _cut_connections(database)
        job = await one.taken("again")
        await until(lambda: upstream.counts["create"] > creations)
        finish(upstream)
        await told(receiver, job)


async def _administrate(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _cut_connections(url: str) -> None:
    await _administrate(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
