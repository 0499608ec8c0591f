"""The calls of the section about labels are made on a running server."""

import asyncio
import json
import shutil
from pathlib import Path

import aiohttp
import pytest
from pages import blocks, server

SERVER = "http://127.0.0.1:3001"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_job_that_the_page_creates_is_found_as_it_shows(tmp_path: Path) -> None:
    commands = [text for kind, text in blocks("projects.md", "Labels and filters") if kind == "sh"]
    replies = []
    async with server(tmp_path / "data") as url:
        for command in commands:
            shell = f"{command.replace(SERVER, url).rstrip()} --silent --show-error"
            ran = await asyncio.create_subprocess_shell(shell, stdout=asyncio.subprocess.PIPE)
            reply, _ = await ran.communicate()
            assert ran.returncode == 0
            replies.append(json.loads(reply))
        created, found = replies
        async with aiohttp.ClientSession(url) as session:
            job = await (await session.get(f"/api/jobs/{created['jobId']}")).json()
    [listed] = found["jobs"]
    assert listed["jobId"] == created["jobId"]
    assert job["externalId"] == listed["externalId"] == "cart-88"
    assert job["metadata"] == listed["metadata"] == {"order": "4711", "shop": "north"}
