"""The made-up service Acme of docs/providers/writing-one.md, and its package, installed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from cleaning_up import clean_up

VIDEO = b"\0\0\0\x18ftypmp42 a video"
KEY = "key-of-acme"


def installed_package(
    site: Path, module: str, entry_points: Mapping[str, Mapping[str, str]]
) -> None:
    """Put the package into a folder, as pip would."""
    metadata = site / "reelhook_acme-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "reelhook_acme.py").write_text(module)
    (metadata / "METADATA").write_text("Name: reelhook-acme\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in entry_points.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


class AcmeServer:
    """Acme's service, as the page describes it: a video is done when it is read the third time.

    `path` is that of its videos.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.videos: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.url = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"/v1/{self.path}", self._order),
            web.get(f"/v1/{self.path}/{{id}}", self._read),
            web.delete(f"/v1/{self.path}/{{id}}", self._stop),
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
                state: dict[str, Any] = {"state": "waiting"}
            case 2:
                state = {"state": "rendering", "percent": 50}
            case _:
                state = {"state": "done", "file": f"{self.url}/files/{video['id']}.mp4"}
        return web.json_response({"id": video["id"], "price": 0.35, **state})

    async def _stop(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(status=409)

    async def _account(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({"name": "Wile E."})

    async def _file(self, _: web.Request) -> web.Response:
        return web.Response(body=VIDEO, content_type="video/mp4")


@asynccontextmanager
async def acme_server(path: str = "videos") -> AsyncIterator[AcmeServer]:
    acme = AcmeServer(path)
    app = web.Application()
    app.add_routes(acme.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        acme.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield acme
    finally:
        await clean_up(runner)


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
