"""A provider that does what the simulator never would: refuses to delete, hangs, breaks off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from cleaning_up import clean_up

Content = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class StubProvider:
    """`videos` are its jobs by id; a test changes them as it likes."""

    url: str = ""
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    may_create: asyncio.Event = field(default_factory=asyncio.Event)
    creates: int = 0
    deletes: list[str] = field(default_factory=list)
    delete_status: int = 200
    on_delete: Callable[[], Awaitable[None]] | None = None
    content: Content | None = None
    key_refusal: str | None = None
    """Its words if it refuses every key."""

    def video(self, video_id: str, **fields: Any) -> None:
        self.videos[video_id] = {
            "id": video_id,
            "object": "video",
            "status": "in_progress",
            "progress": 10,
            "created_at": 1,
            **fields,
        }

    async def create(self, _: web.Request) -> web.Response:
        self.creates += 1
        await self.may_create.wait()
        video_id = f"video_{self.creates}"
        self.video(video_id)
        return web.json_response(self.videos[video_id])

    async def listing(self, _: web.Request) -> web.Response:
        newest_first = list(self.videos.values())[::-1]
        return web.json_response({"object": "list", "data": newest_first, "has_more": False})

    async def get(self, request: web.Request) -> web.Response:
        video = self.videos.get(request.match_info["id"])
        return web.json_response(video or {}, status=200 if video else 404)

    async def delete(self, request: web.Request) -> web.Response:
        self.deletes.append(request.match_info["id"])
        if self.on_delete is not None:
            await self.on_delete()
        if self.delete_status != 200:
            error = {"error": {"message": "Deleting is not for everyone."}}
            return web.json_response(error, status=self.delete_status)
        gone = self.videos.pop(request.match_info["id"], None)
        return web.json_response({"deleted": True}, status=200 if gone else 404)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        assert self.content is not None
        return await self.content(request)


@asynccontextmanager
async def stub_provider() -> AsyncIterator[StubProvider]:
    one = StubProvider()
    one.may_create.set()

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if one.key_refusal is not None:
            return web.json_response({"error": {"message": one.key_refusal}}, status=401)
        return await handler(request)

    app = web.Application(middlewares=[refuse])
    app.add_routes(
        [
            web.post("/v1/videos", one.create),
            web.get("/v1/videos", one.listing),
            web.get("/v1/videos/{id}", one.get),
            web.delete("/v1/videos/{id}", one.delete),
            web.get("/v1/videos/{id}/content", one.stream),
        ]
    )
    # A handler is canceled when its client leaves, so that a test sees it.
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield one
    finally:
        await clean_up(runner)
