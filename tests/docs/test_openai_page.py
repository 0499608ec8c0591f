"""The examples of the page about OpenAI's SDKs, run by the SDK itself on a running server."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from pages import blocks, server

PAGE = "doors/openai.md"
MOVING = "moving.md"
SERVER = "http://127.0.0.1:3001"
# The client warns that the vendor's own service ends; other servers speak the wire on.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


def examples(page: str, section: str | None = None) -> list[str]:
    return [text for language, text in blocks(page, section) if language == "py"]


async def test_the_examples_of_the_page_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELHOOK_KEY", "any")
    monkeypatch.chdir(tmp_path)
    defined: dict[str, Any] = {"__name__": "example"}
    async with server(tmp_path / "data") as url:
        for example in examples(PAGE):
            text = example.replace(SERVER, url).replace("https://app.example.com", url)
            if "webhook_url" in text:  # the address must resolve here
                text = text.replace('"webhook_url": ', '"external_id": ')
            await asyncio.to_thread(exec, text, defined)
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_change_is_two_lines_and_makes_the_client_of_the_script() -> None:
    [diff] = [text for language, text in blocks(PAGE) if language == "diff"]
    changed = [line for line in diff.splitlines() if line[:1] in {"+", "-"}]
    assert [line[0] for line in changed] == ["-", "+"]
    assert changed[1].removeprefix("+") in examples(PAGE)[0]


async def test_the_error_of_the_page_is_the_real_one(tmp_path: Path) -> None:
    [shown] = [json.loads(text) for language, text in blocks(PAGE) if language == "json"]
    async with server(tmp_path / "data") as url:
        sdk = OpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0)
        wrong: Any = "long"
        with pytest.raises(BadRequestError) as refused:
            await asyncio.to_thread(sdk.videos.create, prompt="A fox", seconds=wrong)
        assert refused.value.response.json() == shown
        sdk.close()


@pytest.mark.long
async def test_a_script_needs_only_its_environment_changed(tmp_path: Path) -> None:
    script = examples(PAGE)[0].replace(', base_url="http://127.0.0.1:3001/v1"', "")
    script = script.replace('api_key=os.environ["REELHOOK_KEY"]', "")
    async with server(tmp_path / "data", model_aliases="sora-2=xai/grok-imagine-video") as url:
        there = os.environ | {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "any"}
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "ignore", "-c", script],
            cwd=tmp_path,
            env=there,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"
