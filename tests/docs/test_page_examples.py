"""The pages' calls are made on a running server; the answers and receivers they show are right."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from structlog.testing import capture_logs
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from reelhook.bootstrap import serving
from reelhook.config import Settings
from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.signature import sign, standard_secret
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(sh|json|js)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER = "http://127.0.0.1:3001"
SECRET = "a secret of the tests"


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Return language and text of a page's blocks that are not Python."""
    for match in BLOCK.finditer((DOCS / page).read_text()):
        yield match[1], match[2]


def alike(told: Any, real: Any) -> bool:
    """Whether both have the same keys and types; what is null in one may be anything."""
    match told, real:
        case (None, _) | (_, None):
            return True
        case dict(), dict():
            return set(told) == set(real) and all(alike(told[key], real[key]) for key in told)
        case list(), list():
            return all(alike(one, other) for one, other in zip(told, real, strict=True))
        case _:
            return type(told) is type(real)


@asynccontextmanager
async def server(data_dir: Path, **given: Any) -> AsyncIterator[str]:
    with capture_logs():
        async with running(Faults(queue_seconds=0, render_seconds=0)) as simulator:
            settings = Settings.of(
                openai_base_url=simulator.base_url,
                data_dir=data_dir,
                port=0,
                webhook_secret=SECRET,
                poll_seconds=0.05,
                **given,
            )
            async with serving(settings) as one:
                yield one.url


async def completed(url: str, job_id: str) -> None:
    async with aiohttp.ClientSession(url) as session, asyncio.timeout(20):
        events = await session.get("/api/jobs/events", params={"jobIds": job_id})
        async with events:
            async for line in events.content:
                if b'"status":"completed"' in line:
                    return


# -- calls ----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_calls_of_the_api_page_bring_the_answers_that_it_shows(tmp_path: Path) -> None:
    job_id, answer, calls = "JOB_ID", None, 0
    async with server(tmp_path / "data") as url:
        for language, text in blocks("api.md"):
            if language == "sh":
                command = text.replace(SERVER, url).replace("JOB_ID", job_id)
                assert command.startswith("curl ")
                ran = await asyncio.create_subprocess_shell(
                    f"{command.rstrip()} --silent --show-error",
                    cwd=tmp_path,
                    stdout=asyncio.subprocess.PIPE,
                )
                answer, _ = await ran.communicate()
                assert ran.returncode == 0
                calls += 1
            elif language == "json":
                assert answer is not None
                told, real = json.loads(text), json.loads(answer)
                assert alike(told, real), f"{text} is not like {answer!r}"
                for key in {"status", "code", "field", "title"} & set(told):
                    assert told[key] == real[key]
                if "jobId" in real:
                    job_id = real["jobId"]
                    await completed(url, job_id)
    assert calls >= 6
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"


# -- webhooks -------------------------------------------------------------------------------------


def body(status: WireStatus) -> Any:
    event = Event(
        job_id="job_123",
        sequence=1,
        kind=EventKind.STATUS,
        status=status,
        progress=50,
        occurred_at=0,
        provider_job_id="video_abc",
        error="words",
        code="moderation",
        provider_video_url="http://gpu:30000/v1/videos/video_abc/content",
        content_expires_at=1,
    )
    return json.loads(event.body("https://video.example.com/"))


def test_the_bodies_of_the_webhook_page_are_the_real_ones() -> None:
    shown = [json.loads(text) for language, text in blocks("webhooks.md") if language == "json"]
    assert [one["status"] for one in shown] == ["processing", "completed", "failed"]
    for one in shown:
        assert list(one) == list(body(WireStatus(one["status"])))
        assert alike(one, body(WireStatus(one["status"])))


def namespace(page: str) -> dict[str, Any]:
    """Run a page's Python; return what it defined."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(DOCS / page)
    for example in document.examples():
        example.evaluate()
    return document.namespace


async def test_the_receiver_of_the_webhook_page_takes_a_real_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REELHOOK_RECEIVER_SECRET", standard_secret(SECRET))
    receiver = uvicorn.Server(
        uvicorn.Config(namespace("webhooks.md")["app"], port=0, log_config=None)
    )
    task = asyncio.create_task(receiver.serve())
    async with asyncio.timeout(20):
        while not receiver.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
    port = receiver.servers[0].sockets[0].getsockname()[1]
    hook = f"http://127.0.0.1:{port}/webhooks/video"
    async with server(tmp_path, webhook_url=hook) as url, aiohttp.ClientSession(url) as session:
        async with session.post("/api/generate", json={"script": "A fox"}) as response:
            job_id = (await response.json())["jobId"]
        await completed(url, job_id)
        async with asyncio.timeout(20):
            waiting = 1
            while waiting:
                async with session.get("/api/stats") as response:
                    waiting = (await response.json())["deliveries"]["waiting"]
        async with session.post(hook, data=b"{}") as forged:
            assert forged.status == 401
    receiver.should_exit = True
    await task
    assert capsys.readouterr().out.startswith(f"{job_id} {url}/api/sora/videos/{job_id}/download")


def test_the_check_by_hand_of_the_webhook_page_is_right() -> None:
    is_ours = namespace("webhooks.md")["is_ours"]
    signature = sign(b"{}", message_id="evt_1", now=0, secret=SECRET)["X-Signature"]
    assert is_ours(b"{}", signature, SECRET)
    assert not is_ours(b"{ }", signature, SECRET)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing")
def test_the_check_in_javascript_is_right(tmp_path: Path) -> None:
    [script] = [text for language, text in blocks("webhooks.md") if language == "js"]
    signature = sign(b"{}", message_id="evt_1", now=0, secret=SECRET)["X-Signature"]
    calls = [("{}", signature, SECRET), ("{ }", signature, SECRET), ("{}", "", SECRET)]
    shown = f"console.log({json.dumps(calls)}.map(call => isOurs(...call)).join())"
    (tmp_path / "check.mjs").write_text(f"{script}\n{shown}\n")
    ran = subprocess.run(
        ["node", tmp_path / "check.mjs"], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.strip() == "true,false,false"
