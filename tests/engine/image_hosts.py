"""Hosts of images on loopback, which fail on demand, and fetchers that may dial them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from engine_stage import LOOPBACK

from reelhook.fetching.fetcher import MediaFetcher

FOX = b"\x89PNG\r\n\x1a\n" + b"fox" * 30
Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ImageHost:
    """One host. `answers` are taken one after the other; after them every request gets `FOX`."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: list[Respond] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.answers:
            return await self.answers.pop(0)(request)
        return web.Response(body=FOX, content_type="image/png")


def status(code: int) -> Respond:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code)

    return respond


def body(content: bytes) -> Respond:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type="image/png")

    return respond


def redirect(location: str) -> Respond:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return respond


def after(gate: asyncio.Event) -> Respond:
    async def respond(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response(body=FOX)

    return respond


@asynccontextmanager
async def image_host(*answers: Respond) -> AsyncIterator[ImageHost]:
    host = ImageHost(answers=list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.respond)
    async with TestServer(app, shutdown_timeout=0) as server:
        host.url = str(server.make_url("/fox.png"))
        yield host


def fetcher(folder: Path) -> MediaFetcher:
    return MediaFetcher(LOOPBACK, folder / "spool", user_agent="reelhook/test")
