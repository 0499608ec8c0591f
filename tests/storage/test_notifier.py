"""Messages between processes arrive, coalesced, and a lost connection is reopened."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from reelhook.storage.postgres import notifier as notifiers
from reelhook.storage.postgres.notifier import Notifier

from .postgres_databases import emptied_database


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    async with emptied_database(postgres_url) as one:
        yield one


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifiers, "RECONNECT_SECONDS", 0.05)


class Ear:
    def __init__(self) -> None:
        self.heard: list[list[str]] = []
        self._more = asyncio.Event()

    def __call__(self, names: Sequence[str]) -> None:
        self.heard.append(list(names))
        self._more.set()

    async def hears(self, *names: str) -> None:
        async with asyncio.timeout(60):
            while not any(set(names) <= set(one) for one in self.heard):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[Notifier, Ear]]:
    wire, ear = Notifier(url), Ear()
    wire.start(ear)
    try:
        yield wire, ear
    finally:
        await wire.close()


async def listening(url: str, number: int) -> None:
    """Wait until so many listen."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(60):
            while True:
                count = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND query LIKE 'LISTEN%' OR query LIKE '%pg_notify%'"
                    " AND pid <> pg_backend_pid()"
                )
                if count >= number:
                    return
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_what_one_tells_the_others_hear_and_it_does_not(url: str) -> None:
    async with connected(url) as (one, own_ear), connected(url) as (_, ear):
        await listening(url, 2)
        one.publish("submit")
        await ear.hears("submit")
        assert own_ear.heard == [["changed"]]  # what it may have missed before


async def test_what_is_told_in_a_moment_goes_out_at_once(url: str) -> None:
    async with connected(url) as (one, _), connected(url) as (_, ear):
        await listening(url, 2)
        for _ in range(500):
            one.publish("deliver")
            one.publish("changed")
        await ear.hears("changed", "deliver")
        assert ear.heard == [["changed"], ["changed", "deliver"]]


async def test_a_lost_connection_is_made_anew_and_what_was_told_meanwhile_arrives(
    url: str,
) -> None:
    async with connected(url) as (one, _), connected(url) as (_, ear):
        await listening(url, 2)
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
        async with asyncio.timeout(60):
            while ["submit"] not in ear.heard:  # it may be told before the other listens again
                one.publish("submit")
                await asyncio.sleep(0.1)


async def test_what_was_told_last_goes_out_before_the_end(url: str) -> None:
    async with connected(url) as (_, ear):
        async with connected(url) as (one, _):
            await listening(url, 2)
            one.publish("leases")
        await ear.hears("leases")


async def test_without_a_server_telling_does_no_harm() -> None:
    async with connected("postgresql://nobody@127.0.0.1:1/none") as (one, ear):
        one.publish("submit")
        await asyncio.sleep(0.2)
        assert ear.heard == []


async def test_where_listening_is_refused_telling_does_no_harm(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise asyncpg.FeatureNotSupportedError("LISTEN is not for this pooler")

    monkeypatch.setattr(asyncpg.Connection, "add_listener", refused)
    async with connected(url) as (one, ear):
        one.publish("submit")
        await asyncio.sleep(0.2)
        assert ear.heard == []


async def test_in_place_of_a_wire_readers_look_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifiers, "STORE_POLL_SECONDS", 0.01)
    metronome, ear = notifiers.PollingNotifier(), Ear()
    metronome.start(ear)
    try:
        metronome.publish("submit")
        await ear.hears("changed")
    finally:
        await metronome.close()
    assert {name for names in ear.heard for name in names} == {"changed"}
