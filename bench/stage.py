"""A stage: one server between an upstream stub and receivers, and what a client does to it."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from bench.processes import REELHOOK, ROOT, Server, Stub, machine_cpu_seconds

RESULTS = Path(os.environ.get("BENCH_RESULTS", ROOT / "bench" / "results"))
SECRET = "bench secret, not a key in base64"
"""No `whsec_` form: its UTF-8 bytes are the key of both signatures."""
SUBMITS_AT_ONCE = 32
READ_TRIES = 5
READ_AGAIN_SECONDS = 0.5
TERMINAL = frozenset({"completed", "failed"})


@dataclass(slots=True)
class Request:
    """One request for a video, and what came of it. Moments are of the monotonic clock."""

    key: str
    prompt: str
    webhook_url: str
    sent_at: float = 0.0
    answered_at: float = 0.0
    job_id: str | None = None
    tries: int = 0
    keyless: bool = False
    """Whether it is sent without an Idempotency-Key."""
    job_ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Work:
    """CPU seconds taken so far: by the server, by what measures it, and by the whole machine."""

    server: float
    bench: float
    machine: float

    def since(self, before: "Work") -> "Work":
        return Work(
            self.server - before.server, self.bench - before.bench, self.machine - before.machine
        )

    @property
    def others(self) -> float:
        return max(0.0, self.machine - self.server - self.bench)


@dataclass(slots=True)
class Stage:
    """Everything a scenario needs."""

    folder: Path
    server: Server
    upstream: Stub
    receivers: Stub
    session: aiohttp.ClientSession

    # -- the client ---------------------------------------------------------------------------

    def request(self, number: int, prompt: str) -> Request:
        url = f"{self.receivers.url}/hook/{number}"
        return Request(str(uuid4()), prompt, url)

    async def submit(self, request: Request) -> None:
        """Post one request once; errors are the caller's."""
        body = {
            "walletAddress": "0xbe7c4",
            "script": request.prompt,
            "webhookUrl": request.webhook_url,
        }
        headers = {} if request.keyless else {"Idempotency-Key": request.key}
        request.tries += 1
        request.sent_at = time.monotonic()
        async with self.session.post(
            f"{self.server.url}/api/generate", json=body, headers=headers
        ) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise SubmitRefusedError(answer.status, text)
            request.answered_at = time.monotonic()
            request.job_id = json.loads(text)["jobId"]
            request.job_ids.add(str(request.job_id))

    async def submit_all(self, requests: list[Request]) -> None:
        gate = asyncio.Semaphore(SUBMITS_AT_ONCE)

        async def one(request: Request) -> None:
            async with gate:
                await self.submit(request)

        await asyncio.gather(*(one(request) for request in requests))

    async def jobs(self, status: str | None = None) -> list[dict[str, Any]]:
        """Read the whole list of jobs, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "100"}
            if status:
                query["status"] = status
            if cursor:
                query["cursor"] = cursor
            page = await self.get(f"{self.server.url}/api/jobs", **query)
            found += page["jobs"]
            cursor = page["nextCursor"]
            if not cursor:
                return found

    def work(self) -> Work:
        bench = self.upstream.cpu_seconds() + self.receivers.cpu_seconds() + time.process_time()
        return Work(self.server.cpu_seconds(), bench, machine_cpu_seconds())

    # -- the stubs ----------------------------------------------------------------------------

    async def get(self, url: str, **query: str) -> Any:
        """Read, again after a 503: where responses to COMMIT get lost, reads do too."""
        for tries_left in reversed(range(READ_TRIES)):
            async with self.session.get(url, params=query) as response:
                if response.status == 503 and tries_left:
                    await asyncio.sleep(READ_AGAIN_SECONDS)
                    continue
                response.raise_for_status()
                return await response.json()
        raise AssertionError("unreachable")

    async def post(self, url: str, content: dict[str, Any]) -> Any:
        async with self.session.post(url, json=content) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def set_upstream(self, **settings: Any) -> None:
        await self.post(f"{self.upstream.url}/control/settings", settings)

    async def set_rules(self, rules: dict[str, dict[str, Any]]) -> None:
        await self.post(f"{self.receivers.url}/control/rules", rules)

    async def upstream_state(self, start: int = 0, **query: str) -> dict[str, Any]:
        state: dict[str, Any] = await self.get(
            f"{self.upstream.url}/control/state", **{"from": str(start)}, **query
        )
        return state

    async def creations(self) -> dict[str, list[str]]:
        """Return the ids of the videos at the upstream, by prompt."""
        state = await self.upstream_state(2**31, creations="1")
        creations: dict[str, list[str]] = state["creations"]
        return creations

    def ear(self, start: int = 0, *, deaf_to: str | None = None) -> "Ear":
        return Ear(self, start, deaf_to)

    async def arrivals(self, start: int = 0) -> list[dict[str, Any]]:
        answer = await self.get(f"{self.receivers.url}/control/arrivals", **{"from": str(start)})
        arrivals: list[dict[str, Any]] = answer["arrivals"]
        for arrival in arrivals:
            arrival["event"] = json.loads(arrival["body"])
        return arrivals


@dataclass(slots=True)
class Ear:
    """Hears which jobs have ended, reading each arrival once; `deaf_to` is a path left out."""

    stage: Stage
    position: int
    deaf_to: str | None
    heard: set[str] = field(default_factory=set)

    async def ended(self, count: int, *, seconds: float) -> bool:
        """Wait until that many jobs have ended; return whether they did in time."""

        async def enough() -> bool:
            arrivals = await self.stage.arrivals(self.position)
            self.position += len(arrivals)
            for one in arrivals:
                if one["path"] != self.deaf_to and one["event"]["status"] in TERMINAL:
                    self.heard.add(one["event"]["jobId"])
            return len(self.heard) >= count

        return await until(enough, seconds=seconds, every=0.5)


class SubmitRefusedError(Exception):
    """`POST /api/generate` answered anything but 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status
        self.unknown = status == 500 and "acceptance_unknown" in text


@asynccontextmanager
async def stage(
    name: str,
    environment: dict[str, str],
    receivers_from: Sequence[str] = ("bench.receivers",),
    arguments: Sequence[str] = ("serve",),
    program: Sequence[str] = (str(REELHOOK),),
) -> AsyncIterator[Stage]:
    """Start the stubs, prepare the server (not started), and end all of them afterwards.

    `receivers_from` is the module of the receivers, and its arguments; `program` is what is served
    by in place of `reelhook`.
    """
    folder = RESULTS / name
    shutil.rmtree(folder, ignore_errors=True)
    upstream = Stub("bench.upstream")
    try:
        receivers = Stub(*receivers_from, "--secret", SECRET)
        try:
            server = Server(folder, settings(upstream, environment), arguments, program)
            # A fresh connection for each request: a restarted server leaves no stale ones.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            timeout = aiohttp.ClientTimeout(total=30)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                try:
                    yield Stage(folder, server, upstream, receivers, session)
                finally:
                    server.close()
        finally:
            receivers.close()
    finally:
        upstream.close()


def settings(upstream: Stub, environment: dict[str, str]) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"{upstream.url}/v1",
        "OPENAI_API_KEY": "bench-key",
        "WEBHOOK_SECRET": SECRET,
        **environment,
    }


async def until(
    condition: Callable[[], Awaitable[bool]], *, seconds: float, every: float = 0.1
) -> bool:
    """Wait until the condition holds; return whether it came to hold in that time."""
    end = time.monotonic() + seconds
    while True:
        if await condition():
            return True
        if time.monotonic() > end:
            return False
        await asyncio.sleep(every)
