"""The calls of the page about projects bring the responses that it shows."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from pages import blocks, server

SERVER = "http://127.0.0.1:3001"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_calls_about_projects_bring_the_responses_that_are_shown(tmp_path: Path) -> None:
    response, calls = b"", 0
    async with server(tmp_path / "data") as url:
        for language, text in blocks("projects.md", "Projects"):
            if language == "sh":
                command = f"{text.replace(SERVER, url).rstrip()} --silent --show-error"
                ran = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
                response, _ = await ran.communicate()
                assert ran.returncode == 0
                assert "error" not in json.loads(response)
                calls += 1
            elif language == "json":
                shown, real = json.loads(text), json.loads(response)
                generated = {name: real[name] for name in ("id", "createdAt") if name in real}
                assert shown | generated == real
    assert calls == 3
