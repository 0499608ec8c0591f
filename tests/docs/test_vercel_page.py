"""The page about Vercel's `ai` package: its error is the real one, its scripts run in Node."""

import asyncio
import json
import os
import re
from pathlib import Path

import aiohttp
import pytest
from pages import blocks, server

from reelhook.doors.limits import MIB
from reelhook.doors.vercel.result import BASE64_BYTES_MAX
from reelhook.doors.vercel.waiting import KEEP_ALIVE_SECONDS, TRIES, WAIT_SECONDS_MAX

PAGE = "doors/vercel.md"
SERVER = "http://127.0.0.1:3001"
PEERS = Path(__file__).parents[1] / "peers"


def examples() -> list[str]:
    return [text for language, text in blocks(PAGE) if language == "js"]


async def test_the_error_of_the_page_is_the_real_one(tmp_path: Path) -> None:
    [shown] = [json.loads(text) for language, text in blocks(PAGE) if language == "json"]
    async with server(tmp_path) as url, aiohttp.ClientSession(url) as session:
        body = {"prompt": "A fox", "n": 2}
        async with session.post("/v4/ai/video-model", json=body) as response:
            assert (response.status, await response.json()) == (400, shown)


def test_the_change_is_one_line_of_the_script_and_the_numbers_are_right() -> None:
    [diff] = [text for language, text in blocks(PAGE) if language == "diff"]
    changed = [line for line in diff.splitlines() if line[:1] in {"+", "-"}]
    assert [line[0] for line in changed] == ["-", "+"]
    assert changed[1].removeprefix("+") in examples()[0]
    page = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "docs" / PAGE).read_text())
    assert f"comment every {KEEP_ALIVE_SECONDS:g} seconds" in page
    assert f"After {WAIT_SECONDS_MAX / 60:g} minutes the call" in page
    assert f"After {TRIES * WAIT_SECONDS_MAX / 60:g} minutes it is" in page
    assert f"up to {BASE64_BYTES_MAX // MIB} MiB" in page


@pytest.mark.peers
async def test_the_scripts_of_the_page_run_one_after_the_other(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as url:
        text = "\n".join(examples()).replace(SERVER, url)
        script = PEERS / f"page-{tmp_path.name}.mjs"  # a module finds its packages by its folder
        script.write_text(text)
        try:
            ran = await asyncio.create_subprocess_exec(
                *("node", str(script)),
                cwd=tmp_path,
                env=os.environ | {"REELHOOK_KEY": "any"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(90):
                printed, complaints = await ran.communicate()
        finally:
            script.unlink()
    assert ran.returncode == 0, complaints.decode()[-2000:]
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"
    assert re.fullmatch(r"job_\w+ completed\n", printed.decode())
