"""A team's own server: an ASGI application with a lifespan, over real HTTP."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from migrated_database import prepare
from simulated import running
from starlette.types import ASGIApp

from reelhook.config import Settings
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

AT_ONCE = Faults(queue_seconds=0, render_seconds=0)
SMALL = {"seconds": "1", "size": "64x64"}


class Time:
    """The simulator's clock; it is stopped unless a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def provider(faults: Faults | None = None) -> AsyncIterator[tuple[RunningSimulator, Time]]:
    clock = Time()
    async with running(faults, clock=clock) as one:
        yield one, clock


def settings(data_dir: Path, base_url: str, **overrides: Any) -> Settings:
    """Return the settings of a test, whose database is there already."""
    prepare(data_dir / "reelhook.db")
    given = {
        "openai_base_url": base_url,
        "data_dir": data_dir,
        "poll_seconds": 0.05,
        "allow_networks": "127.0.0.0/8",
        "webhook_secret": "a secret of the tests",
    }
    return Settings.of(**{**given, **overrides})


async def get(session: aiohttp.ClientSession, url: str, **options: Any) -> Any:
    """Return status and JSON."""
    async with session.get(url, **options) as response:
        return response.status, await response.json()


async def post(session: aiohttp.ClientSession, url: str, **options: Any) -> Any:
    """Return status and JSON."""
    async with session.post(url, **options) as response:
        return response.status, await response.json()


async def ended(session: aiohttp.ClientSession, status_url: str) -> Any:
    """Wait until the job at this address has ended; return its status."""
    async with asyncio.timeout(60):
        while True:
            _, status = await get(session, status_url)
            if status["status"] != "generating":
                return status
            await asyncio.sleep(0.02)


@asynccontextmanager
async def hosting(build: Callable[[str], ASGIApp], **options: Any) -> AsyncIterator[str]:
    """Serve what `build` makes of its own address, lifespan included; yield that address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(build(url), lifespan="on", log_config=None, **options)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        async with asyncio.timeout(60):
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.02)
        try:
            yield url
        finally:
            server.should_exit = True
            await task
        # uvicorn reports a failed shutdown only in its log.
        assert not server.lifespan.shutdown_failed
