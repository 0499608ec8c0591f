"""The files of the proxies in `deploy/` do what docs/production.md says, run by their programs."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
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
UPLOADS_EACH = 40
PROXIES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            program_of(name) is None, reason=f"{name} is not installed; see .ci/run"
        ),
    )
    for name in OURS
]


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


@pytest.mark.parametrize("name", PROXIES)
async def test_a_job_goes_through(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        job = await one.job_when(await one.submit(), "completed")
        signed = job["videoUrl"]
        assert signed.startswith(f"https://{NAME}/api/")
        path = signed.removeprefix(f"https://{NAME}")
        status, film = await one.get(path, headers={})
        assert (status, film[4:8]) == (200, b"ftyp")
        assert await one.get(path, headers={"Range": "bytes=4-7"}) == (206, b"ftyp")
        assert (await one.get("/api/jobs", headers={}))[0] == 401


@pytest.mark.parametrize("name", PROXIES)
async def test_below_a_path_everything_is_found(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path, REELHOOK_PUBLIC_URL=f"https://{NAME}/reel") as one:
        for path in ("/reel/docs", "/reel/docs/assets/swagger-ui.css", "/reel/openapi.json"):
            assert (await one.get(path, headers={}))[0] == 200
        assert b"/reel/openapi.json" in (await one.get("/reel/docs", headers={}))[1]
        job = await one.job_when(await one.submit(), "completed")
        path = job["videoUrl"].removeprefix(f"https://{NAME}")
        assert path.startswith("/reel/api/")
        assert (await one.get(path, headers={}))[0] == 200


@pytest.mark.parametrize("name", PROXIES)
async def test_events_come_at_once_and_over_long_silence(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        job_id = await one.submit()
        clock = asyncio.get_running_loop()
        started = clock.time()
        path = f"/api/jobs/events?jobIds={job_id}"
        timeout = aiohttp.ClientTimeout(total=None)
        async with one.request("GET", path, timeout=timeout) as stream:
            assert stream.status == 200
            assert await stream.content.readline() == b": following\n"
            assert clock.time() - started < 5
            seen = b""
            while clock.time() - started < SILENCE_SECONDS:
                async with asyncio.timeout(20):  # there is a sign of life every 15 s
                    line = await stream.content.readline()
                assert line, "the stream ended"
                seen += line
        assert b'"status":"completed"' in seen
        assert seen.count(b": still here") >= 2


@pytest.mark.parametrize("name", PROXIES)
async def test_the_log_names_the_client_and_not_what_it_claims(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        await one.get("/api/jobs", headers={"X-Forwarded-For": "203.0.113.9"})
        logged = [json.loads(line) for line in one.log.read_text().splitlines() if line[0] == "{"]
        refused = [line for line in logged if line["event"] == "http.client_refused"]
        assert [line["client"] for line in refused] == ["127.0.0.1"]
        assert refused[0]["code"] == "unauthorized"


@pytest.mark.parametrize("name", PROXIES)
async def test_refused_uploads_disturb_nobody(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        for upload in UPLOADS.values():
            statuses, seen = await refused_uploads(one.way, upload, UPLOADS_EACH, tmp_path)
            assert statuses == Counter({str(upload.status): UPLOADS_EACH})
            assert seen.wrong == []
        for upload in UPLOADS.values():
            late = await asyncio.gather(*(late_body(one.way, upload, 1.0) for _ in range(5)))
            assert late == [str(upload.status)] * 5


@pytest.mark.parametrize("name", PROXIES)
async def test_a_connection_can_be_used_again_after_a_pause(name: str, tmp_path: Path) -> None:
    async with site(name, tmp_path) as one:
        short, long = await asyncio.gather(
            after_pauses(one.way, (4.0, 6.0), 50, 4), after_pauses(one.way, (59.0, 61.0), 50, 1)
        )
        assert (short, long) == ([], [])
