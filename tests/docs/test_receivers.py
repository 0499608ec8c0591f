"""Every receiver of the page, as it stands there, takes our webhooks over HTTP, and no others."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from pages import SECRET, block, server
from werkzeug.serving import make_server

from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.domain.signature import sign, standard_secret
from reelhook.domain.signing_keys import PrivateKey, jwk_set, private_text
from reelhook.doors.compat.payload import event_body
from reelhook.doors.openai.payload import OpenAIPayload
from reelhook.guard.addresses import AddressPolicy
from reelhook.ports import SignedRequest
from reelhook.webhooks import WebhookVerificationError, verify
from reelhook.webhooks.sender import AiohttpSender

PAGE = "receivers.md"
JAVASCRIPT = Path(__file__).parents[1] / "javascript"
SEED = b"k" * 32
KEY = PrivateKey.of(SEED)
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (JAVASCRIPT / "node_modules/express").exists(),
    reason="Node.js or its packages are missing: run npm ci in tests/javascript",
)
Serving = Callable[[Path], AbstractAsyncContextManager[str]]


@pytest.fixture(autouse=True)
def _receiver_s_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REELHOOK_RECEIVER_SECRET", standard_secret(SECRET))
    monkeypatch.chdir(tmp_path)


# -- the receivers --------------------------------------------------------------------------------


def python_of(*sections: str) -> dict[str, Any]:
    """Run the Python of some sections; return what it defined."""
    defined: dict[str, Any] = {"__name__": "receiver"}
    for section in sections:
        exec(block(PAGE, section, "python"), defined)  # noqa: S102 - the page's own code
    return defined


@asynccontextmanager
async def fastapi(_: Path) -> AsyncIterator[str]:
    async with served(python_of("The store", "FastAPI")["app"]) as url:
        yield url


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    receiver = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    task = asyncio.create_task(receiver.serve())
    async with asyncio.timeout(60):
        while not receiver.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
    yield f"http://127.0.0.1:{receiver.servers[0].sockets[0].getsockname()[1]}/webhooks/video"
    receiver.should_exit = True
    await task


@asynccontextmanager
async def flask(_: Path) -> AsyncIterator[str]:
    receiver = make_server("127.0.0.1", 0, python_of("The store", "Flask")["app"], threaded=True)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{receiver.port}/webhooks/video"
    finally:
        await asyncio.to_thread(receiver.shutdown)
        thread.join()
        receiver.server_close()


@asynccontextmanager
async def node(directory: Path, *arguments: str) -> AsyncIterator[str]:
    """Run a receiver whose first line ends with its port."""
    (directory / "node_modules").symlink_to(JAVASCRIPT / "node_modules")
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "videos.js").write_text(block(PAGE, "The store", "js"))
    process = await asyncio.create_subprocess_exec(
        "node",
        *arguments,
        cwd=directory,
        env=os.environ | {"PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield f"http://127.0.0.1:{int(line.split()[-1])}/webhooks/video"
    finally:
        # Some installations' `node` is a script that starts the real one: both are to end.
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@asynccontextmanager
async def express(directory: Path) -> AsyncIterator[str]:
    (directory / "receiver.js").write_text(block(PAGE, "Express", "js"))
    async with node(directory, "receiver.js") as url:
        yield url


@asynccontextmanager
async def nextjs(directory: Path) -> AsyncIterator[str]:
    route = directory / "app/webhooks/video/route.js"
    route.parent.mkdir(parents=True)
    route.write_text(block(PAGE, "Next.js", "js"))
    async with node(directory, str(JAVASCRIPT / "serve_route.mjs"), str(route)) as url:
        yield url


every_receiver = pytest.mark.parametrize(
    "receiving",
    [
        fastapi,
        flask,
        pytest.param(express, marks=needs_node),
        pytest.param(nextjs, marks=needs_node),
    ],
)


# -- our webhooks ---------------------------------------------------------------------------------


def webhook(
    sequence: int = 1, *, secret: str = SECRET, previous: str | None = None, age_seconds: int = 0
) -> tuple[bytes, dict[str, str]]:
    """Return an event's body and headers as they are sent, v1a signatures included."""
    event = Event(
        job_id="job_123",
        sequence=sequence,
        kind=EventKind.STATUS,
        status=WireStatus.FAILED,
        progress=50,
        occurred_at=0,
        provider_job_id="video_abc",
        error="Straße gesperrt 🎬",
        code="moderation",
    )
    body = event_body(event, "https://video.example.com/")
    now = time.time_ns() // 1_000_000 - age_seconds * 1000
    headers = sign(
        body,
        message_id=event.id,
        now=now,
        secret=secret,
        previous=previous,
        private_keys=[KEY],
    )
    return body, headers | {"Content-Type": "application/json"}


class Sending:
    """Our own sender, to one receiver."""

    def __init__(self, sender: AiohttpSender, url: str) -> None:
        self._sender = sender
        self._url = url

    async def __call__(self, body: bytes, headers: dict[str, str]) -> tuple[int | None, Any]:
        answer = await self._sender.send(
            SignedRequest(self._url, body, headers, trusted=True, timeout_seconds=10)
        )
        return answer.status, json.loads(answer.body)


@asynccontextmanager
async def sending_to(receiving: Serving, directory: Path) -> AsyncIterator[Sending]:
    async with receiving(directory) as url, AiohttpSender(AddressPolicy(())) as sender:
        yield Sending(sender, url)


# -- what every receiver does ---------------------------------------------------------------------


@every_receiver
async def test_what_is_known_or_older_is_no_news(receiving: Serving, tmp_path: Path) -> None:
    async with sending_to(receiving, tmp_path) as send:
        for sequence, news in ((2, True), (2, False), (1, False), (3, True), (3, False)):
            assert await send(*webhook(sequence)) == (200, {"news": news})


@every_receiver
async def test_during_a_rotation_the_old_secret_and_the_new_one_will_do(
    receiving: Serving, tmp_path: Path
) -> None:
    async with sending_to(receiving, tmp_path) as send:
        assert await send(*webhook(1, secret="new", previous=SECRET)) == (200, {"news": True})
        assert await send(*webhook(2, secret=SECRET, previous="old")) == (200, {"news": True})
        assert (await send(*webhook(3, secret="new", previous="old")))[0] == 401


@every_receiver
async def test_what_is_forged_altered_or_old_is_refused(receiving: Serving, tmp_path: Path) -> None:
    body, headers = webhook()
    unsigned = {"Content-Type": "application/json"}
    forged = [
        (body.replace(b"50", b"51"), headers),
        (body, headers | {"webhook-id": "evt_job_123_2"}),
        (body, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
        (body, headers | {"webhook-signature": "v1,AAAA"}),
        (body, unsigned),
        (b"", unsigned),
        webhook(secret="another"),
        webhook(age_seconds=310),
        webhook(age_seconds=-310),
    ]
    async with sending_to(receiving, tmp_path) as send:
        for one in forged:
            status, answer = await send(*one)
            assert status == 401, one
            assert answer
        assert await send(body, headers) == (200, {"news": True})


async def test_a_receiver_takes_the_webhooks_of_a_real_server(tmp_path: Path) -> None:
    async with (
        fastapi(tmp_path) as hook,
        server(tmp_path / "data", webhook_url=hook) as url,
        aiohttp.ClientSession(url) as session,
    ):
        job_id = await submitted(session)
        event = await ending(job_id)
    assert event["videoUrl"] == f"{url}/api/sora/videos/{job_id}/download"


async def submitted(session: aiohttp.ClientSession) -> str:
    fox = {"script": "A fox", "seconds": 1, "size": "64x64"}
    async with session.post("/api/generate", json=fox) as response:
        return str((await response.json())["jobId"])


def kept() -> dict[str, Any]:
    """What the receiver's store has, by job."""
    if not Path("videos.db").exists():
        return {}
    with closing(sqlite3.connect("videos.db")) as db:
        there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'videos'").fetchone()
        rows = db.execute("SELECT job_id, event FROM videos").fetchall() if there else []
    return {job_id: json.loads(event) for job_id, event in rows}


async def ending(job_id: str) -> Any:
    async with asyncio.timeout(60):
        while kept().get(job_id, {}).get("status") != "completed":  # noqa: ASYNC110 - it is in a database
            await asyncio.sleep(0.01)
    return kept()[job_id]


# -- another format -------------------------------------------------------------------------------


async def test_a_receiver_with_openais_sdk_takes_webhooks_in_its_format(tmp_path: Path) -> None:
    receiver = python_of("OpenAI's SDK")
    job = Job("job_123", "acme", Status.COMPLETED, 0, 0)
    event = Event("job_123", 4, EventKind.TERMINAL, WireStatus.COMPLETED, 100, 0, "video_abc")
    body = OpenAIPayload().body(job, event)
    headers, forged = (
        sign(body, message_id=event.id, now=time.time_ns() // 1_000_000, secret=secret)
        for secret in (SECRET, "another")
    )
    async with (
        served(receiver["app"]) as url,
        AiohttpSender(AddressPolicy(())) as sender,
    ):
        send = Sending(sender, url)
        assert (await send(body, forged))[0] == 401
        for news in (True, False):
            assert await send(body, headers) == (200, {"news": news})
    assert receiver["seen"] == {event.id: ("video.completed", "video_123")}


# -- public keys ----------------------------------------------------------------------------------


async def test_the_keys_that_a_server_publishes_verify(tmp_path: Path) -> None:
    async with server(tmp_path / "data", webhook_private_key=private_text(SEED)) as url:
        keys = await asyncio.to_thread(python_of("Public keys")["public_keys"], url)
    body, headers = webhook(secret="another")
    assert verify(body, headers, public_keys=keys).id == headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        verify(body + b" ", headers, public_keys=keys)


@needs_node
def test_the_check_of_public_keys_in_javascript_is_right(tmp_path: Path) -> None:
    (tmp_path / "check.mjs").write_text(
        block(PAGE, "Public keys", "js")
        + "import { readFileSync } from 'node:fs';\n"
        + "const calls = JSON.parse(readFileSync(0));\n"
        + "console.log(JSON.stringify(calls.map((call) => isSigned(...call))));\n"
    )
    body, headers = webhook(secret="another")
    old, old_headers = webhook(age_seconds=310)
    ours, others = jwk_set([PrivateKey.of(b"o" * 32).public, KEY.public]), jwk_set([])
    calls = [
        (body.decode(), headers, ours),
        (body.decode() + " ", headers, ours),
        (body.decode(), headers, others),
        (body.decode(), {}, ours),
        (body.decode(), headers | {"webhook-signature": "v1a,AAAA v1,AAAA"}, ours),
        (old.decode(), old_headers, ours),
    ]
    ran = subprocess.run(
        ["node", tmp_path / "check.mjs"],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(ran.stdout) == [True, False, False, False, False, False]


# -- catching up ----------------------------------------------------------------------------------


async def test_a_receiver_that_was_away_catches_up(tmp_path: Path) -> None:
    catch_up = python_of("The store", "Catching up")["catch_up"]
    key = "a-long-random-text"
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        server(tmp_path / "data", api_key=key) as url,
        aiohttp.ClientSession(url, headers=headers) as session,
    ):
        job_id = await submitted(session)
        cursor = None
        async with asyncio.timeout(60):
            while kept().get(job_id, {}).get("status") != "completed":
                cursor = await asyncio.to_thread(catch_up, url, key, cursor)
        before = kept()
        assert await asyncio.to_thread(catch_up, url, key, cursor) == cursor
        assert await asyncio.to_thread(catch_up, url, key) == cursor
    assert kept() == before
