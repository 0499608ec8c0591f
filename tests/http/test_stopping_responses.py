"""A stop lets responses end that can end in time, and cuts off the others without a complaint."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateways import Gateway, gateway, until
from stub_providers import StubProvider, stub_provider

from reelhook.bootstrap import http_server

PIECES = 20
PIECE_SECONDS = 0.1
STOP_SECONDS_MAX = 8.0
LOUD = {"error", "critical", "exception", "warning"}


async def finished_at(provider: StubProvider, server: Gateway) -> str:
    provider.video("video_of_a_test", status="completed")
    reply = await server.post("/api/jobs/register", json={"soraJobId": "video_of_a_test"})
    job_id = str(reply.json()["jobId"])
    await server.job_when(job_id, "completed")
    return job_id


async def dripping(request: web.Request) -> web.StreamResponse:
    """A file that takes two seconds."""
    response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
    response.content_length = PIECES * 1000
    await response.prepare(request)
    for _ in range(PIECES):
        await response.write(bytes(1000))
        await asyncio.sleep(PIECE_SECONDS)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    """A file that stalls after its beginning."""
    response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
    response.content_length = 1_000_000
    await response.prepare(request)
    await response.write(bytes(1000))
    await asyncio.sleep(60)
    return response


def complaints(server: Gateway, caplog: pytest.LogCaptureFixture) -> list[object]:
    ours = [one for one in server.logs if one["log_level"] in LOUD]
    return [*ours, *(one for one in caplog.records if one.levelno >= logging.WARNING)]


async def test_a_download_ends_within_the_time_of_the_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack, stub_provider() as provider:
        provider.content = dripping
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path, upstream=provider.url) as server:
            job_id = await finished_at(provider, server)
            response = await session.get(f"{server.url}/api/sora/videos/{job_id}/download")
            assert response.status == 200
            whole = asyncio.create_task(response.read())
            started = time.monotonic()
        assert len(await whole) == PIECES * 1000
        assert time.monotonic() - started < STOP_SECONDS_MAX
        assert complaints(server, caplog) == []


async def test_one_that_does_not_end_is_cut_off_without_a_complaint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "STOP_SECONDS", 0.5)
    async with AsyncExitStack() as stack, stub_provider() as provider:
        provider.content = endless
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path, upstream=provider.url) as server:
            job_id = await finished_at(provider, server)
            response = await session.get(f"{server.url}/api/sora/videos/{job_id}/download")
            whole = asyncio.create_task(response.read())
            started = time.monotonic()
        assert time.monotonic() - started < 3
        with pytest.raises(aiohttp.ClientError):
            await whole
        assert complaints(server, caplog) == []
        assert [one["responses"] for one in server.logs if "cut off" in one["event"]] == [1]


async def test_a_request_that_waits_for_its_provider_is_cut_off_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "STOP_SECONDS", 0.3)

    async def silent(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    asked = asyncio.Event()
    async with AsyncExitStack() as stack, stub_provider() as provider:
        provider.content = silent
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path, upstream=provider.url) as server:
            job_id = await finished_at(provider, server)
            url = f"{server.url}/api/sora/videos/{job_id}/download"
            waiting = asyncio.create_task(session.get(url).__aenter__())
            await asked.wait()
        with pytest.raises(aiohttp.ClientError):
            await waiting
        assert complaints(server, caplog) == []


async def test_streams_end_with_their_last_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path) as server:
            job_id = await server.submit()
            response = await session.get(f"{server.url}/api/jobs/events?jobIds={job_id}")
            assert await response.content.readline() == b": following\n"
            started = time.monotonic()
        assert time.monotonic() - started < 2
        await response.content.read()  # no error: it was ended, not broken off
        assert complaints(server, caplog) == []


async def test_no_connection_is_taken_once_it_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, stub_provider() as provider:
        provider.content = dripping
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path, upstream=provider.url) as server:
            job_id = await finished_at(provider, server)
            response = await session.get(f"{server.url}/api/sora/videos/{job_id}/download")
            refused = asyncio.create_task(refusing(server.url))
        await refused
        await response.read()


async def refusing(url: str) -> None:
    """Wait until no connection is taken any more."""

    async def refuses() -> bool:
        try:
            async with aiohttp.request("GET", f"{url}/healthz"):
                return False
        except aiohttp.ClientConnectorError:
            return True

    await until(refuses, 3)
