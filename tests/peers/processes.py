"""Servers and clients that others wrote, each in a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent
START_SECONDS = 90.0
LITELLM_KEY = "sk-of-a-test-alone"


@asynccontextmanager
async def aimock() -> AsyncIterator[str]:
    """Run aimock until the block ends; yield its URL."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "aimock.mjs",
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        yield json.loads(line)["url"]
    finally:
        process.stdin.close()
        await _ended(process)


@asynccontextmanager
async def litellm(config: Path, port: int, log: Path) -> AsyncIterator[str]:
    """Run LiteLLM's proxy until the block ends; yield its URL."""
    command = [os.environ["LITELLM"], "--config", str(config), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--telemetry", "False"]
    environment = {"LITELLM_MASTER_KEY": LITELLM_KEY}
    health = "/health/liveliness"
    async with _server(command, config.parent, port, health, log, environment) as url:
        yield url


@asynccontextmanager
async def prism(document: Path, upstream: str, port: int, log: Path) -> AsyncIterator[str]:
    """Run Prism in front of a server until the block ends; yield its URL.

    It replaces each response that the OpenAPI document does not describe by an error.
    """
    command = ["node_modules/.bin/prism", "proxy", str(document), upstream]
    command += ["--port", str(port), "--errors"]
    async with _server(command, HERE, port, "/healthz", log) as url:
        yield url


async def printed_by(client: str, *arguments: str) -> Any:
    """Run a client for Node; return the JSON that it printed."""
    ran = await asyncio.create_subprocess_exec(
        *("node", client, *arguments),
        cwd=HERE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        printed, complaints = await ran.communicate()
    assert ran.returncode == 0, complaints.decode()[-2000:]
    return json.loads(printed)


@asynccontextmanager
async def _server(
    command: Sequence[str],
    folder: Path,
    port: int,
    health: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """Run a server until the block ends; yield its URL once `health` responds."""
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=written,
            stderr=written,
            start_new_session=True,  # node from a wheel is a child of what is started here
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _answering(f"{url}{health}", process, log)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await _ended(process)


async def _answering(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
        while True:
            assert process.returncode is None, log.read_text()[-2000:]
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()
