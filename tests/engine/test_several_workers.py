"""Two processes on one database: each follows the requests to the other one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from engine_stubs import Receiver, Upstream
from engine_waiting import ended, until, until_job, watched
from storage.postgres_databases import emptied_database
from structlog.testing import capture_logs

import reelhook
from reelhook.doors.compat.functions import Hook

REFUSAL = {"error": {"message": "Incorrect API key"}}


@pytest.fixture
async def on_postgres(
    settings: reelhook.Settings, postgres_url: str
) -> AsyncIterator[reelhook.Settings]:
    async with emptied_database(postgres_url) as url:
        yield settings.model_copy(update={"database_url": url})


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> reelhook.Settings:
    name = "settings" if request.param == "sqlite" else "on_postgres"
    one: reelhook.Settings = request.getfixturevalue(name)
    return one


@pytest.fixture(params=[True, False], ids=["told", "polling"])
async def two(
    request: pytest.FixtureRequest, on_postgres: reelhook.Settings
) -> AsyncIterator[tuple[Hook, Hook]]:
    """A process that only serves, and one that works."""
    chosen = on_postgres.model_copy(update={"wake_ups": request.param})
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(reelhook.open(chosen, work=False))
        worker = await stack.enter_async_context(reelhook.open(chosen))
        yield door, worker


def reads(upstream: Upstream) -> int:
    return upstream.counts["list"] + upstream.counts["get"]


async def quiet(upstream: Upstream) -> None:
    """Wait until nobody has asked for the time of several rounds."""
    async with asyncio.timeout(60):
        while True:
            before = reads(upstream)
            await asyncio.sleep(0.5)
            if reads(upstream) == before:
                return


async def test_a_pause_in_one_process_holds_in_the_other(
    two: tuple[Hook, Hook], upstream: Upstream, receiver: Receiver
) -> None:
    door, worker = two
    job = await door.submit("A fox")
    await until_job(door, job, watched)
    await door.stop_sora_polling()
    for one in two:
        assert (await one.get_polling_stats())["watcher"]["paused_since"] is not None
    await quiet(upstream)
    for video in upstream.videos.values():
        video.update(status="completed", progress=100)
    await worker.start_sora_polling()
    await until_job(door, job, ended)


async def test_a_refused_key_shows_in_every_process_until_it_is_taken(
    two: tuple[Hook, Hook], upstream: Upstream
) -> None:
    door, worker = two

    async def shown(error: str | None) -> None:
        async with asyncio.timeout(60):
            for one in two:
                while (await one.get_polling_stats())["accounts"][0]["error"] != error:  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.02)

    async def refused(_: web.Request) -> web.Response:
        return web.json_response(REFUSAL, status=401)

    upstream.create = refused
    await until_job(door, await door.submit("A fox"), ended)
    await shown("Incorrect API key")
    assert (await worker.get_polling_stats())["accounts"][0]["healthy"] is False
    upstream.create = None
    await door.submit("A hat")
    await shown(None)


async def test_a_pause_outlives_a_restart_and_says_so(
    either: reelhook.Settings, upstream: Upstream
) -> None:
    async with reelhook.open(either) as hook:
        await hook.stop_sora_polling()
    before = reads(upstream)  # a new listing is read once
    with capture_logs() as logs:
        async with reelhook.open(either) as hook:
            job = await hook.submit("A fox")
            await until(lambda: upstream.counts["create"] == 1)
            assert (await hook.get_polling_stats())["watcher"]["paused_since"] is not None
            await quiet(upstream)
            assert reads(upstream) == before
            for video in upstream.videos.values():
                video.update(status="completed", progress=100)
            await hook.start_sora_polling()
            await until_job(hook, job, ended)
    (line,) = [line for line in logs if line["event"].startswith("The watcher is paused")]
    assert (line["log_level"], "T" in line["since"]) == ("warning", True)


async def test_whoever_takes_an_account_finds_out_for_himself(
    either: reelhook.Settings, upstream: Upstream
) -> None:
    """A restart with another key must not show the old one's refusal."""

    async def refused(_: web.Request) -> web.Response:
        return web.json_response(REFUSAL, status=401)

    upstream.create = refused
    async with reelhook.open(either) as hook:
        await until_job(hook, await hook.submit("A fox"), ended)
        async with asyncio.timeout(60):
            while (await hook.get_polling_stats())["accounts"][0]["healthy"]:  # noqa: ASYNC110 - it is written by and by
                await asyncio.sleep(0.01)
    async with reelhook.open(either) as hook, asyncio.timeout(60):
        while not (await hook.get_polling_stats())["accounts"][0]["healthy"]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
