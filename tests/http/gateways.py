"""A gateway as its users run it: served over real HTTP, with a simulated provider."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from migrated_database import prepare
from multidict import CIMultiDictProxy
from simulated import running, small_videos
from structlog.testing import capture_logs
from structlog.typing import EventDict

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.doors.compat.functions import Hook
from reelhook.doors.native.schemas import ErrorResponse
from reelhook.providers.registry import BUILT_IN
from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import Flavour
from reelhook.simulator.render_process import Renderer

AT_ONCE = Faults(queue_seconds=0, render_seconds=0)
"""Jobs are finished as soon as they are created."""
ERROR_FIELDS = set(ErrorResponse.model_json_schema()["properties"])
"""The fields that OpenAPI documents for errors."""
SMALL = {"seconds": 1, "size": "64x64"}
"""A video that is rendered in no time."""


class Time:
    """The simulator's clock. It is stopped, so that jobs change only when a test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Reply:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        """Status, code and field of an error, which must have the form of all errors."""
        error = self.json()
        assert set(error) <= ERROR_FIELDS, error
        assert error["error"].strip(), error
        assert self.headers["Content-Type"] == "application/json"
        return self.status, error["code"], error.get("field")


class Client:
    """Calls one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def request(self, method: str, path: str, **options: Any) -> Reply:
        async with self.session.request(
            method, self.url + path, allow_redirects=False, **options
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Reply:
        return await self.request("POST", path, **options)

    async def patch(self, path: str, **options: Any) -> Reply:
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.request("DELETE", path, **options)

    async def endpoint(self, url: str, **fields: Any) -> Any:
        """Register an endpoint; return it with its secret."""
        reply = await self.post("/api/endpoints", json={"url": url, **fields})
        assert reply.status == 201, reply.body
        return reply.json()

    async def deliveries(self, **wanted: Any) -> list[Any]:
        """Return what is listed, newest first."""
        found = (await self.get("/api/deliveries", params=wanted)).json()["deliveries"]
        assert isinstance(found, list)
        return found

    async def delivery_when(self, state: str, **wanted: Any) -> Any:
        """Wait until the newest of these deliveries has this state; return it."""

        async def has_state() -> Any:
            found = await self.deliveries(**wanted)
            return found[0] if found and found[0]["state"] == state else None

        return await until(has_state)

    async def submit(self, script: str = "A fox", **fields: Any) -> str:
        reply = await self.post("/api/generate", json={"script": script, **SMALL, **fields})
        assert reply.status == 200, reply.body
        return str(reply.json()["jobId"])

    async def job(self, job_id: str) -> Any:
        return (await self.get(f"/api/jobs/{job_id}")).json()

    async def job_when(self, job_id: str, status: str) -> Any:
        """Wait until the job has this status; return it."""

        async def has_status() -> Any:
            job = await self.job(job_id)
            return job if job["status"] == status else None

        return await until(has_status)

    async def total(self) -> int:
        """Return the number of stored jobs."""
        return int((await self.get("/api/stats")).json()["jobs"]["total"])


@dataclass
class Gateway(Client):
    """A running server, a client of it, and its provider."""

    session: aiohttp.ClientSession
    url: str
    hook: Hook
    simulator: Simulator
    time: Time
    settings: Settings
    logs: Sequence[EventDict]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
    """Wait until the condition holds; return what it returned."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - the condition is read over HTTP
            await asyncio.sleep(0.02)
        return value


def settings(data_dir: Path, base_url: str, **overrides: Any) -> Settings:
    """Return the settings of a test."""
    defaults = {
        "openai_base_url": base_url,
        "data_dir": data_dir,
        "host": "127.0.0.1",
        "port": 0,
        "poll_seconds": 0.05,
        "allow_networks": "127.0.0.0/8",
        "webhook_secret": "a secret of the tests",
        # Each finished video would be decoded in a process of its own.
        "archive_url": "off",
    }
    return Settings.of(**{**defaults, **overrides})


@asynccontextmanager
async def gateway(
    data_dir: Path,
    faults: Faults | None = None,
    *,
    upstream: str | None = None,
    provider_key: str | None = None,
    flavour: Flavour | None = None,
    headers: dict[str, str] | None = None,
    providers: Sequence[str] = (),
    renderer: Callable[[], Renderer] = small_videos,
    **overrides: Any,
) -> AsyncIterator[Gateway]:
    """Serve until the block ends. `upstream` takes the place of the simulator's address.

    `providers` are those that the simulator plays in addition to the first. With a `flavour` it
    plays that server of `/v1/videos`. Its videos are small, except with the usual `Renderer`.
    """
    clock = Time()
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())
        simulated = await stack.enter_async_context(
            running(faults, api_key=provider_key, clock=clock, flavour=flavour, renderer=renderer)
        )
        for name in providers:
            one = BUILT_IN[name]
            base_url = f"{simulated.root_url}/{one.simulated_path}"
            played = {one.settings["key"]: "simulated", one.settings["base_url"]: base_url}
            overrides = {**played, **overrides}
        chosen = settings(data_dir, upstream or simulated.base_url, **overrides)
        if isinstance(chosen.database, Path):
            prepare(chosen.database)
        server = await stack.enter_async_context(bootstrap.server(chosen))
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        yield Gateway(session, server.url, server.hook, simulated.simulator, clock, chosen, logs)
