"""A provider on loopback that speaks `/v1/videos` and does, on demand, what servers do wrong."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from aiohttp import web
from cleaning_up import clean_up

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Video:
    id: str
    prompt: str = ""
    model: str = "sora-2"
    seconds: str = "4"
    size: str = "720x1280"
    status: str = "queued"
    progress: int = 0
    created_at: int = 0
    remixed_from_video_id: str | None = None

    def shown(self) -> dict[str, Any]:
        error = {"code": "x", "message": "It went wrong."} if self.status == "failed" else None
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": self.progress,
            "created_at": self.created_at,
            "prompt": self.prompt,
            "seconds": self.seconds,
            "size": self.size,
            "remixed_from_video_id": self.remixed_from_video_id,
            "error": error,
        }


@dataclass(frozen=True)
class Asked:
    """One request: its kind (create, get, list, delete) and what it was about."""

    kind: str
    about: str | None = None


@dataclass
class Upstream:
    """The provider; everything may be changed while it runs. `videos` are kept oldest first."""

    now: Callable[[], float]
    url: str = ""
    videos: dict[str, Video] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    page_size_max: int = 100
    newest_first: bool = True
    heeds_after: bool = True
    listed: Callable[[Video], bool] = lambda _: True
    shows: Callable[[dict[str, Any]], dict[str, Any]] = lambda video: video
    wraps: Callable[[dict[str, Any]], dict[str, Any]] = lambda listing: listing
    on_create: Respond | None = None
    on_remix: Respond | None = None
    on_get: Respond | None = None
    on_list: Respond | None = None
    on_content: Respond | None = None
    card: Mapping[str, str] | None = None
    """Its only model, as `GET /v1/models` shows it; None: it has no such route."""
    get_headers: Mapping[str, str] = field(default_factory=dict)
    owned_by: str | None = None
    """Whose its models are; `sglang` has it say as SGLang that it has no such video."""

    # -- what a test does to it ---------------------------------------------------------------

    def add(self, *ids: str, **fields: Any) -> None:
        for one in ids:
            self.videos[one] = Video(one, created_at=int(self.now()), **fields)

    def change(self, *ids: str, **fields: Any) -> None:
        for one in ids:
            self.videos[one] = replace(self.videos[one], **fields)

    def count(self, *kinds: str) -> int:
        return sum(one.kind in kinds for one in self.asked)

    @property
    def creations(self) -> int:
        return self.count("create")

    def forget_requests(self) -> None:
        self.asked.clear()

    def create(self, fields: Mapping[str, Any]) -> Video:
        known = {"prompt", "model", "seconds", "size", "remixed_from_video_id"}
        video = Video(
            f"video_{len(self.videos)}_{self.creations}",
            created_at=int(self.now()),
            **{name: value for name, value in fields.items() if name in known},
        )
        self.videos[video.id] = video
        return video

    # -- what it answers ----------------------------------------------------------------------

    async def take(self, request: web.Request) -> web.Response:
        """Create what a request asks for, and say so."""
        return web.json_response(self.create(await fields_of(request)).shown())

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked("create", (await fields_of(request)).get("prompt")))
        return await (self.on_create or self.take)(request)

    def remix(self, source_id: str, prompt: str) -> Video:
        source = self.videos[source_id].shown()
        return self.create({**source, "prompt": prompt, "remixed_from_video_id": source_id})

    async def _remix(self, request: web.Request) -> web.StreamResponse:
        source, prompt = request.match_info["id"], (await request.json())["prompt"]
        self.asked.append(Asked("remix", source))
        if self.on_remix is not None:
            return await self.on_remix(request)
        return web.json_response(self.remix(source, prompt).shown())

    async def _get(self, request: web.Request) -> web.StreamResponse:
        one = request.match_info["id"]
        self.asked.append(Asked("get", one))
        if self.on_get is not None:
            return await self.on_get(request)
        return self.tell(one)

    def tell(self, one: str) -> web.Response:
        video = self.videos.get(one)
        if video is None and self.owned_by == "sglang":
            return web.json_response({"detail": "Video not found"}, status=404)
        if video is None:
            return web.json_response({"error": {"message": f"No such video: {one}"}}, status=404)
        return web.json_response(video.shown(), headers=self.get_headers)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked("list", request.query.get("after")))
        return await (self.on_list or self.list_page)(request)

    async def list_page(self, request: web.Request) -> web.Response:
        lines = [one for one in self.videos.values() if self.listed(one)]
        if self.newest_first:
            lines.reverse()
        after = request.query.get("after") if self.heeds_after else None
        if after is not None:
            if after not in [one.id for one in lines]:
                return web.json_response({"error": {"message": "unknown cursor"}}, status=404)
            lines = lines[[one.id for one in lines].index(after) + 1 :]
        limit = min(int(request.query["limit"]), self.page_size_max)
        page = {
            "object": "list",
            "data": [self.shows(one.shown()) for one in lines[:limit]],
            "has_more": len(lines) > limit,
        }
        return web.json_response(self.wraps(page))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        one = request.match_info["id"]
        self.asked.append(Asked("delete", one))
        self.videos.pop(one, None)
        return web.json_response({"id": one, "deleted": True, "object": "video.deleted"})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked("content", request.match_info["id"]))
        return await (self.on_content or answers(404))(request)

    async def _models(self, _: web.Request) -> web.StreamResponse:
        card = self.card
        if card is None and self.owned_by is not None:
            card = {"id": "wan", "owned_by": self.owned_by}
        if card is None:
            return web.Response(status=404)
        return web.json_response({"object": "list", "data": [{"object": "model", **card}]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/videos", self._create)
        app.router.add_post("/v1/videos/{id}/remix", self._remix)
        app.router.add_get("/v1/videos", self._list)
        app.router.add_get("/v1/videos/{id}", self._get)
        app.router.add_get("/v1/videos/{id}/content", self._content)
        app.router.add_get("/v1/models", self._models)
        app.router.add_delete("/v1/videos/{id}", self._delete)
        return app


@asynccontextmanager
async def upstream(now: Callable[[], float]) -> AsyncIterator[Upstream]:
    one = Upstream(now)
    runner = web.AppRunner(one.app(), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield one
    finally:
        await clean_up(runner)


async def fields_of(request: web.Request) -> Mapping[str, Any]:
    """Read what a create asks for, as JSON or as a form."""
    if request.content_type == "application/json":
        return dict(await request.json())
    return dict(await request.post())


# -- answers of upstreams and receivers -----------------------------------------------------------


def answers(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Respond:
    """Answer every request so; the body is JSON, bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=raw, headers=headers)

    return respond


def one_after_the_other(*each: Respond) -> Respond:
    """Answer the first request by the first, and so on; by the last from then on."""
    left: Sequence[Respond] = list(each)

    async def respond(request: web.Request) -> web.StreamResponse:
        nonlocal left
        now, left = left[0], left[1:] or left
        return await now(request)

    return respond


async def reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection instead of answering."""
    assert request.transport is not None
    request.transport.get_extra_info("socket").setsockopt(
        SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0)
    )
    request.transport.abort()
    return web.Response()


def never() -> Respond:
    """Take a request and never answer it."""

    async def respond(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return respond


def when(gate: asyncio.Event, then: Respond) -> Respond:
    """Answer once the gate is open."""

    async def respond(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await then(request)

    return respond
