"""The provider of the page is installed as it stands there, and makes a video."""

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web
from pages import blocks, namespace
from providers.paying import SUBMIT_SECONDS, PaysOnce, Submits
from recorded.recordings import HOW, Recording
from structlog.testing import capture_logs

from reelhook.bootstrap import serving
from reelhook.config import Settings
from reelhook.domain.report import Accepted, Cost, Refused, Unknown
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import refused
from reelhook.providers.http.response import ProviderResponse

PAGE = "providers/writing-one.md"
VIDEO = b"\0\0\0\x18ftypmp42 a video"
KEY = "key-of-acme"


def block_of(language: str, mark: str = "") -> str:
    [text] = [text for given, text in blocks(PAGE) if given == language and mark in text]
    return text


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder into which the package is installed, as pip would."""
    site = tmp_path / "site"
    metadata = site / "reelhook_acme-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "reelhook_acme.py").write_text(block_of("python"))
    project = tomllib.loads(block_of("toml", "[project]"))["project"]
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return site


class AcmeServer:
    """Acme's service, as the page describes it: a video is done when it is read the third time."""

    def __init__(self) -> None:
        self.videos: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.url = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/videos", self._order),
            web.get("/v1/videos/{id}", self._read),
            web.delete("/v1/videos/{id}", self._stop),
            web.get("/v1/account", self._account),
            web.get("/files/{id}.mp4", self._file),
        ]

    def _check(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise web.HTTPUnauthorized(text='{"error": {"message": "Who are you?"}}')

    async def _order(self, request: web.Request) -> web.Response:
        self._check(request)
        self.orders.append(await request.json())
        video_id = f"video-{len(self.orders)}"
        self.videos[video_id] = {"id": video_id, "reads": 0}
        return web.json_response({"id": video_id, "price": 0.4}, status=201)

    async def _read(self, request: web.Request) -> web.Response:
        self._check(request)
        video = self.videos.get(request.match_info["id"])
        if video is None:
            raise web.HTTPNotFound
        video["reads"] += 1
        match video["reads"]:
            case 1:
                told: dict[str, Any] = {"state": "waiting"}
            case 2:
                told = {"state": "rendering", "percent": 50}
            case _:
                told = {"state": "done", "file": f"{self.url}/files/{video['id']}.mp4"}
        return web.json_response({"id": video["id"], "price": 0.35, **told})

    async def _stop(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(status=409)

    async def _account(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({"name": "Wile E."})

    async def _file(self, _: web.Request) -> web.Response:
        return web.Response(body=VIDEO, content_type="video/mp4")


@asynccontextmanager
async def acme_server() -> AsyncIterator[AcmeServer]:
    acme = AcmeServer()
    app = web.Application()
    app.add_routes(acme.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        acme.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield acme
    finally:
        await runner.cleanup()


def accounts_file(directory: Path, acme: AcmeServer) -> Path:
    """Write the page's account, at our server."""
    path = directory / "accounts.toml"
    told = block_of("toml", "[accounts.acme]")
    assert tomllib.loads(told)["accounts"]["acme"]["key_variable"] == "ACME_API_KEY"
    path.write_text(told.replace("http://127.0.0.1:9000", acme.url))
    return path


async def asked(directory: Path, *arguments: str, **variables: str) -> tuple[int | None, str]:
    """Run the command line beside this loop; return exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reelhook", *arguments),
        cwd=directory,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


def test_the_provider_has_fewer_than_a_hundred_lines() -> None:
    assert len(block_of("python").splitlines()) < 100


async def test_the_provider_makes_a_video_once_it_is_installed(site: Path, tmp_path: Path) -> None:
    async with acme_server() as acme:
        variables = {
            "PYTHONPATH": str(site),
            "REELHOOK_ACCOUNTS_FILE": str(accounts_file(tmp_path, acme)),
            "ACME_API_KEY": KEY,
            "REELHOOK_DEFAULT_MODEL": "acme/video-1",
        }
        code, told = await asked(tmp_path, "doctor", **variables)
        assert "ok: account acme: its key works: account Wile E." in told
        assert code == 0
        with pytest.MonkeyPatch.context() as patch, capture_logs():
            patch.syspath_prepend(site)
            for name, value in variables.items():
                patch.setenv(name, value)
            settings = Settings.load(port=0, data_dir=tmp_path / "data", poll_seconds=0.05)
            async with serving(settings) as server:
                code, told = await asked(
                    *(tmp_path, "submit", "A road runs", "--seconds", "8", "--option", "mood=dry"),
                    *("--aspect-ratio", "16:9", "--watch", "--json"),
                    REELHOOK_URL=server.url,
                )
                job = json.loads(told.splitlines()[-1])
                assert (code, job["provider"]) == (0, "acme")
                assert job["cost"] == {"amount": 0.35, "unit": "USD", "charged": True}
                async with ClientSession() as http, http.get(job["videoUrl"]) as response:
                    assert await response.read() == VIDEO
                refused = await asked(
                    *(tmp_path, "submit", "A road", "--seconds", "5"), REELHOOK_URL=server.url
                )
                assert refused[0] == 1
        sys.modules.pop("reelhook_acme", None)
    assert acme.orders == [
        {
            "model": "video-1",
            "prompt": "A road runs",
            "duration": 8,
            "ratio": "16:9",
            "mood": "dry",
        }
    ]


class TestPayingOfThePage(PaysOnce):
    """The page's provider keeps what every adapter must keep."""

    def provider(self, base: str) -> Submits:
        kind = namespace(PAGE)["Acme"]
        provider: Submits = kind(base, KEY, submit_timeout_seconds=SUBMIT_SECONDS)
        return provider

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A road runs", model="video-1")


async def test_what_is_told_of_a_video_is_understood() -> None:
    page = namespace(PAGE)
    accepted, report = page["accepted"], page["report"]
    assert accepted({"id": "video-1", "price": 0.4}) == Accepted("video-1", quote=Cost(0.4, "USD"))
    assert accepted({"price": 0.4}) is None
    assert report({"state": "done"}).code == "content_missing"
    assert report({"state": "failed", "error": {"code": "safety"}}).code == "moderation"
    assert report({"state": "thinking"}) == Unknown("thinking")
    assert report({}) is None


def test_the_recording_of_the_page_is_one_that_is_understood_as_it_expects() -> None:
    [fields] = yaml.safe_load(block_of("yaml", "how: recorded"))
    one = Recording("acme", "creates", 1, **fields)
    assert one.how in HOW
    answer = ProviderResponse(one.status, one.headers, json.dumps(one.body).encode())
    told = refused(answer, 0)
    assert isinstance(told, Refused)
    assert told.code == one.expect["code"]
    assert one.expect["words"] in told.message
