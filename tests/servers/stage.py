"""What a scenario acts with: reelhook as this checkout has it, and one server."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from bench.processes import Server as Reelhook

from servers.between import Around
from servers.servers import Running, Server

_DOCTOR_SECONDS_MAX = 120.0
_ENDED = ("completed", "failed", "canceled")


class Missed(Exception):  # noqa: N818 - it is a finding, not an error in the check
    """What a user would want did not happen; says what happened instead."""


class Limited(Exception):  # noqa: N818 - see above
    """All that the server can do happened; says what that was."""


class Gateway:
    """`reelhook serve` in front of one server, and a client of it. All but the pace is default."""

    def __init__(self, folder: Path, around: Around, server: Server) -> None:
        self.process = Reelhook(
            folder,
            {
                "OPENAI_BASE_URL": f"{around.proxy_url}/v1",
                "OPENAI_API_KEY": server.key,
                "WEBHOOK_URL": f"{around.url}/hook",
                "WEBHOOK_SECRET": "a secret of the checks",
                "REELHOOK_POLL_SECONDS": "1",
            },
        )
        self._folder = folder
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        await self.process.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self.process.close()

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Return the status and the JSON of a response, or its bytes."""
        assert self._session is not None
        url = self.process.url + path
        async with self._session.request(method, url, **options) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.read()

    async def submit(self, script: str, **fields: Any) -> str:
        status, told = await self.call("POST", "/api/generate", json={"script": script, **fields})
        if status != 200:
            raise Missed(f"refused with {status}: {told.get('error')}")
        return str(told["jobId"])

    async def job(self, job_id: str) -> Any:
        return (await self.call("GET", f"/api/jobs/{job_id}"))[1]

    async def until(
        self, job_id: str, holds: Callable[[Any], object], seconds: float = 60.0
    ) -> Any:
        """Return the job once this holds, or has become impossible. Raises `Missed`."""
        deadline = time.monotonic() + seconds
        while True:
            job = await self.job(job_id)
            if holds(job):
                return job
            if job["status"] in _ENDED:
                raise Missed(f"{job['status']}: {job.get('code')}: {job.get('error')}")
            if time.monotonic() > deadline:
                said = job.get("error") or job.get("waiting", {}).get("lastResponse")
                if since := job.get("missingSince"):
                    said = f"missing since {since}"
                raise Missed(f"still {job['status']} after {seconds:.0f} s, a user reads: {said}")
            await asyncio.sleep(0.2)

    async def completed(self, job_id: str, seconds: float = 60.0) -> Any:
        return await self.until(job_id, lambda job: job["status"] == "completed", seconds)

    async def give_up(self) -> None:
        """End what a scenario left behind, so that the next one begins with nothing."""
        _, told = await self.call("GET", "/api/jobs?limit=100")
        for job in told["jobs"]:
            if job["status"] not in _ENDED:
                path = f"/api/jobs/{job['jobId']}/cancel"
                await self.call("POST", path, json={"force": True})

    async def doctor(self) -> tuple[int, str]:
        """Return the exit code and what is said of the account."""
        command = [*self.process._command[:-1], "doctor"]
        ran = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=self._folder,
            env=self.process.environment,
            capture_output=True,
            text=True,
            timeout=_DOCTOR_SECONDS_MAX,
            check=False,
        )
        lines = (ran.stdout + ran.stderr).splitlines()
        told = [one.strip() for one in lines if "account openai: " in one]
        return ran.returncode, "; ".join(told[:1] if ran.returncode == 0 else told)


class Stage:
    """Everything that a scenario needs. `note` collects what a cell should say."""

    def __init__(self, around: Around, running: Running, gateway: Gateway) -> None:
        self.around, self.running, self.gateway = around, running, gateway
        self.server = running.server
        self.proxy = around.proxy
        self.finished: str | None = None
        """A job that was completed before the server is restarted."""

    def fields(self, **fields: Any) -> dict[str, Any]:
        """Return what a request says that leaves nothing to defaults."""
        given = {"model": self.running.model, "seconds": 4, "size": "1280x720", **fields}
        return {name: value for name, value in given.items() if value is not None}

    async def submit(self, script: str, **fields: Any) -> str:
        return await self.gateway.submit(script, **self.fields(**fields))

    async def asked(self, script: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until the engine was asked for this prompt; return with what."""
        deadline = time.monotonic() + seconds
        while not (found := self.running.asked(script)):
            if time.monotonic() > deadline:
                raise Missed(f"the engine was not asked in {seconds:.0f} s")
            await asyncio.sleep(0.2)
        return found[0]
