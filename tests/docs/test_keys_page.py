"""The examples about keys and browser tokens do what the page says."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import aiohttp
import pytest
from pages import block, server

from reelhook.domain.api_key import TOKEN, is_token

SERVER = "http://127.0.0.1:3001"
PAGE = (Path(__file__).parents[2] / "docs" / "projects.md").read_text()


async def ran(command: str, url: str) -> str:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REELHOOK_URL": url,
    }
    process = await asyncio.create_subprocess_shell(
        command.rstrip(), env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_key_and_the_token_of_the_page_are_made_as_shown(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as url:
        made = await ran(block("projects.md", "Keys", "sh"), url)
        [key] = re.findall(rf"^Key: ({TOKEN})$", made, re.MULTILINE)
        headers = {"Authorization": f"Bearer {key}"}
        body = {"script": "A fox", "seconds": 1, "size": "64x64"}
        sent = aiohttp.request("POST", f"{url}/api/generate", json=body, headers=headers)
        async with sent as created:
            job_id = (await created.json())["jobId"]
        command = block("projects.md", "Browser tokens", "sh").rstrip()
        for shown, real in ((SERVER, url), ("JOB_ID", job_id), ("Bearer KEY", f"Bearer {key}")):
            command = command.replace(shown, real)
        response = json.loads(await ran(f"{command} --silent --show-error", url))
        assert set(response) == set(json.loads(block("projects.md", "Browser tokens", "json")))
        path = f"/api/videos/status/{job_id}?token={response['token']}"
        async with aiohttp.request("GET", f"{url}{path}") as status:
            assert status.status == 200


def test_the_page_shows_the_form_by_which_scanners_find_keys() -> None:
    assert f"`{TOKEN}`" in PAGE
    shown = re.findall(TOKEN, (Path(__file__).parents[2] / "docs" / "cli.md").read_text())
    assert shown
    assert all(map(is_token, shown))
