"""An upstream whose answers a test decides, and a receiver that remembers."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cleaning_up import clean_up


@dataclass
class Upstream:
    """A small `/v1/videos` whose answers a test decides. `videos` are newest last."""

    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    create: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    listing: bool = True
    url: str = ""

    def add(self, prompt: str | None, **fields: Any) -> str:
        number = len(self.videos) + 1
        video = {
            "id": f"video_{number}",
            "object": "video",
            "model": "sora-2",
            "status": "queued",
            "progress": 0,
            "created_at": 1_800_000_000 + number,
            "prompt": prompt,
        }
        self.videos[f"video_{number}"] = video | fields
        return f"video_{number}"

    async def on_create(self, request: web.Request) -> web.StreamResponse:
        self.counts["create"] += 1
        if self.create is not None:
            return await self.create(request)
        asked = await request.json()
        return web.json_response(self.videos[self.add(asked["prompt"])])

    async def on_get(self, request: web.Request) -> web.StreamResponse:
        self.counts["get"] += 1
        video = self.videos.get(request.match_info["id"])
        return web.json_response(video or {"error": {}}, status=200 if video else 404)

    async def on_list(self, request: web.Request) -> web.StreamResponse:
        self.counts["list"] += 1
        if not self.listing:
            return web.json_response({"error": {"message": "no listing"}}, status=405)
        ids = list(reversed(self.videos))
        after, limit = request.query.get("after"), int(request.query["limit"])
        start = ids.index(after) + 1 if after in ids else 0
        shown = ids[start : start + limit]
        more = start + limit < len(ids)
        return web.json_response(
            {"object": "list", "data": [self.videos[one] for one in shown], "has_more": more}
        )


@asynccontextmanager
async def listening(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await clean_up(runner)


@dataclass
class Receiver:
    """Remembers each webhook; `statuses` are the answers to give, then 200."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def on_post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.bodies.append(json.loads(body))
        self.raw.append((dict(request.headers), body))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)
