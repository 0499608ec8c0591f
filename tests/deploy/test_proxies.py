"""The files of the proxies in `deploy/` do what docs/production.md says, run by their programs."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bench.proxies import serving
from bench.proxy_loads import KEY, UPLOADS, Way, after_pauses, late_body, refused_uploads
from bench.proxy_programs import NAME, OURS, program_of, proxy

pytestmark = pytest.mark.long
BEARER = {"Authorization": f"Bearer {KEY}"}
SILENCE_SECONDS = 40.0
"""Longer than two of a stream's signs of life, and longer than the usual time-out of 30 s."""
UPLOADS_EACH = 15
INSTALLED = [name for name in OURS if program_of(name) is not None]
needs_one = pytest.mark.skipif(not INSTALLED, reason="no proxy is installed; see .ci/run")
each_proxy = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name not in INSTALLED, reason=f"{name} is not installed; see .ci/run"
            ),
        )
        for name in OURS
    ],
)


@dataclass(frozen=True)
class Site:
    """A server behind a proxy, and a client that reaches it by the proxy's name."""

    way: Way
    session: aiohttp.ClientSession
    log: Path

    def request(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Host": NAME, **options.pop("headers", BEARER)}
        url = f"https://127.0.0.1:{self.way.port}{path}"
        return self.session.request(
            method, url, headers=headers, server_hostname=NAME, allow_redirects=False, **options
        )

    async def get(self, path: str, **options: Any) -> tuple[int, bytes]:
        async with self.request("GET", path, **options) as response:
            return response.status, await response.read()

    async def submit(self) -> str:
        wanted = {"script": "A fox", "seconds": 1, "size": "64x64"}
        async with self.request("POST", "/api/generate", json=wanted) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["jobId"])

    async def job_when(self, job_id: str, status: str) -> Any:
        async with asyncio.timeout(90):
            while True:
                _, body = await self.get(f"/api/jobs/{job_id}")
                if (job := json.loads(body))["status"] == status:
                    return job
                await asyncio.sleep(0.2)


@asynccontextmanager
async def site(name: str, folder: Path, **variables: str) -> AsyncIterator[Site]:
    async with serving(folder / "server", **variables) as server:
        with proxy(name, folder / "proxy", server.port) as one:
            tls = ssl.create_default_context(cafile=str(folder / "proxy" / "chain.pem"))
            connector = aiohttp.TCPConnector(ssl=tls)
            async with aiohttp.ClientSession(connector=connector) as session:
                way = Way(name, int(one.url.rpartition(":")[2]), tls=True)
                await ready(Site(way, session, server.log))
                yield Site(way, session, server.log)


async def ready(one: Site) -> None:
    """Wait for the proxy's own look at the server's health."""
    async with asyncio.timeout(30):
        while not await answers(one):  # noqa: ASYNC110 - it is another program's
            await asyncio.sleep(0.1)


async def answers(one: Site) -> bool:
    try:
        return (await one.get("/readyz"))[0] == 200
    except aiohttp.ClientConnectionError:  # Traefik listens before it has its certificate
        return False


async def behind_each(
    folder: Path, check: Callable[[Site], Awaitable[None]], **variables: str
) -> None:
    """Check the installed proxies at once, each with a server of its own: most only wait."""

    async def behind(name: str) -> None:
        try:
            async with site(name, folder / name, **variables) as one:
                await check(one)
        except Exception as error:
            error.add_note(f"behind {name}")
            raise

    async with asyncio.TaskGroup() as group:
        for name in INSTALLED:
            group.create_task(behind(name))


@needs_one
async def test_a_job_goes_through_and_the_log_names_its_client(tmp_path: Path) -> None:
    async def check(one: Site) -> None:
        await client_is_named(one)
        job = await one.job_when(await one.submit(), "completed")
        signed = job["videoUrl"]
        assert signed.startswith(f"https://{NAME}/api/")
        path = signed.removeprefix(f"https://{NAME}")
        status, video = await one.get(path, headers={})
        assert (status, video[4:8]) == (200, b"ftyp")
        assert await one.get(path, headers={"Range": "bytes=4-7"}) == (206, b"ftyp")

    await behind_each(tmp_path, check)


async def client_is_named(one: Site) -> None:
    """Be refused, with a header that claims another address: the log must have the true one."""
    claim = {"X-Forwarded-For": "203.0.113.9"}
    assert (await one.get("/api/jobs", headers=claim))[0] == 401
    logged = [json.loads(line) for line in one.log.read_text().splitlines() if line[0] == "{"]
    refused = [line for line in logged if line["event"] == "http.client_refused"]
    assert [(line["client"], line["code"]) for line in refused] == [("127.0.0.1", "unauthorized")]


@needs_one
async def test_below_a_path_everything_is_found(tmp_path: Path) -> None:
    async def check(one: Site) -> None:
        for path in ("/reel/docs", "/reel/docs/assets/swagger-ui.css", "/reel/openapi.json"):
            assert (await one.get(path, headers={}))[0] == 200
        assert b"/reel/openapi.json" in (await one.get("/reel/docs", headers={}))[1]
        job = await one.job_when(await one.submit(), "completed")
        path = job["videoUrl"].removeprefix(f"https://{NAME}")
        assert path.startswith("/reel/api/")
        assert (await one.get(path, headers={}))[0] == 200

    await behind_each(tmp_path, check, REELHOOK_PUBLIC_URL=f"https://{NAME}/reel")


@needs_one
async def test_streams_and_idle_connections_outlast_a_silence(tmp_path: Path) -> None:
    async def check(one: Site) -> None:
        _, short, long = await asyncio.gather(
            stream(one),
            after_pauses(one.way, (4.0, 6.0), 25, 4),
            after_pauses(one.way, (59.0, 61.0), 25, 1),
        )
        assert (short, long) == ([], [])

    await behind_each(tmp_path, check)


async def stream(one: Site) -> None:
    """Follow a job for longer than it takes; events must come at once, and signs of life."""
    job_id = await one.submit()
    clock = asyncio.get_running_loop()
    started = clock.time()
    path = f"/api/jobs/events?jobIds={job_id}"
    timeout = aiohttp.ClientTimeout(total=None)
    async with one.request("GET", path, timeout=timeout) as response:
        assert response.status == 200
        assert await response.content.readline() == b": following\n"
        assert clock.time() - started < 5
        seen = b""
        while clock.time() - started < SILENCE_SECONDS:
            async with asyncio.timeout(20):  # there is a sign of life every 15 s
                line = await response.content.readline()
            assert line, "the stream ended"
            seen += line
    assert b'"status":"completed"' in seen
    assert seen.count(b": still here") >= 2


@each_proxy
async def test_refused_uploads_disturb_nobody(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        for upload in UPLOADS.values():
            statuses, seen = await refused_uploads(one.way, upload, UPLOADS_EACH, tmp_path)
            assert statuses == Counter({str(upload.status): UPLOADS_EACH})
            assert seen.wrong == []
        late = await asyncio.gather(
            *(late_body(one.way, upload, 1.0) for upload in UPLOADS.values() for _ in range(5))
        )
        assert late == [str(upload.status) for upload in UPLOADS.values() for _ in range(5)]
