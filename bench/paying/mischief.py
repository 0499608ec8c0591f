"""What befalls a create at the upstream: the answers of which a client learns little."""

import asyncio
import io
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import assert_never

from aiohttp import web
from aiohttp.typedefs import Handler
from PIL import Image

from bench.serving import reset
from reelhook.simulator.refusals import CreateRefusal

TIMEOUT_SECONDS = 0.6
"""How long the client waits for an answer."""
LATE_SECONDS_MAX = 0.7
"""How long after its arrival a create may still be carried out."""
SETTLE_SECONDS = 2.0
REFUSED_VIDEO = "Refused video"
"""How the prompt begins of what is refused as often as it is sent, and never created."""
GATEWAYS = (CreateRefusal.BAD_GATEWAY, CreateRefusal.PAGE)
"""The refusals behind which a create may still be under way."""
LATENCY_SECONDS_MAX = 0.06
IMAGE_SECONDS_MAX = 0.4


class Mischief(StrEnum):
    """What goes wrong with a create. All but those that say so carry it out."""

    REFUSED = "429"
    UNREAD = "reset, not created"
    BROKEN = "refused, not created"
    DROPPED = "created, connection closed"
    RESET = "created, connection reset"
    CUT = "created, half an answer"
    BROKEN_AFTER = "created, and refused"
    BROKEN_BEFORE = "refused by a gateway, created later"
    NO_ID = "created, 200 without an id"
    REDIRECT = "created, then 307"
    SILENT = "created, answer after the time-out"
    LATE = "created after the time-out"


def _picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (1280, 720), "teal").save(written, "PNG")
    return written.getvalue()


IMAGE = _picture()
"""An image of a size that every provider takes; what follows it is ignored."""


async def _text_of(request: web.Request) -> str:
    """Read a whole body, so that it is carried out whether or not the client waits for it."""
    if request.content_type == "multipart/form-data":
        return str((await request.post()).get("prompt"))
    return (await request.read()).decode()


def provider_of(path: str) -> str:
    """Return whose wire a path belongs to."""
    first = path.split("/")[1]
    return "openai" if first == "v1" else first


@dataclass(slots=True)
class Mischievous:
    """A middleware that lets creates go wrong, at a rate of 0..1; it counts by provider."""

    chance: Random
    rate: float = 0.0
    creates: Counter[str] = field(default_factory=Counter)
    struck: Counter[tuple[str, Mischief]] = field(default_factory=Counter)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    images_struck: int = 0

    @property
    def middleware(self) -> web.middleware:  # type: ignore[valid-type] # aiohttp names no type
        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method != "POST" or request.path.endswith("/cancel"):
                return await handler(request)
            provider = provider_of(request.path)
            self.creates[provider] += 1
            text = await _text_of(request)
            await asyncio.sleep(self.chance.uniform(0, LATENCY_SECONDS_MAX))
            if REFUSED_VIDEO in text:
                mischief = Mischief.BROKEN
            elif self.chance.random() >= self.rate:
                return await handler(request)
            else:
                mischief = self.chance.choice(list(Mischief))
            self.struck[provider, mischief] += 1
            return await self._do(mischief, request, handler)

        return strike

    async def image(self, request: web.Request) -> web.StreamResponse:
        """Respond to the fetch of an image, which may take a while and fail."""
        await asyncio.sleep(self.chance.uniform(0, IMAGE_SECONDS_MAX))
        name = request.match_info["name"]
        image = web.Response(body=IMAGE + name.encode(), content_type="image/png")
        if name.startswith("gone"):
            return web.Response(status=404)
        if self.chance.random() >= self.rate:
            return image
        self.images_struck += 1
        match self.chance.randrange(4):
            case 0:
                return web.Response(status=503)
            case 1:
                return reset(request)
            case 2:
                return web.Response(text="<html>busy</html>", content_type="text/html")
            case _:
                return await _cut(request, image)

    async def _do(
        self, mischief: Mischief, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        match mischief:
            case Mischief.REFUSED:
                return web.json_response({}, status=429, headers={"Retry-After": "1"})
            case Mischief.UNREAD:
                return reset(request)
            case Mischief.BROKEN:
                return self.chance.choice(list(CreateRefusal)).response()
            case Mischief.BROKEN_BEFORE:
                self._later(request, handler)
                return self.chance.choice(GATEWAYS).response()
            case Mischief.LATE:
                await asyncio.sleep(LATE_SECONDS_MAX)
                return await handler(request)
            case _:
                return await self._lose(mischief, request, await handler(request))

    async def _lose(
        self, mischief: Mischief, request: web.Request, answer: web.StreamResponse
    ) -> web.StreamResponse:
        """Carry it out, and lose what tells so."""
        match mischief:
            case Mischief.DROPPED:
                return _closed(request)
            case Mischief.RESET:
                return reset(request)
            case Mischief.CUT:
                return await _cut(request, answer)
            case Mischief.BROKEN_AFTER:
                return self.chance.choice(list(CreateRefusal)).response()
            case Mischief.NO_ID:
                return web.json_response({})
            case Mischief.REDIRECT:
                return web.Response(status=307, headers={"Location": request.path})
            case Mischief.SILENT:
                await asyncio.sleep(2 * TIMEOUT_SECONDS)
                return answer
            case (
                Mischief.REFUSED
                | Mischief.UNREAD
                | Mischief.BROKEN
                | Mischief.BROKEN_BEFORE
                | Mischief.LATE
            ):
                raise AssertionError(mischief)
            case _:
                assert_never(mischief)

    def _later(self, request: web.Request, handler: Handler) -> None:
        """Carry a create out behind the back of whoever was told that it failed."""

        async def carry_out() -> None:
            await asyncio.sleep(LATE_SECONDS_MAX)
            await handler(request)

        task = asyncio.create_task(carry_out())
        self.running.add(task)
        task.add_done_callback(self.running.discard)


async def _cut(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else None
    content = body if isinstance(body, bytes) else json.dumps({}).encode()
    half = web.StreamResponse(headers={"Content-Length": str(len(content))})
    half.content_type = "application/json"
    with suppress(ConnectionError):  # the client may have been killed meanwhile
        await half.prepare(request)
        await half.write(content[: len(content) // 2])
    _closed(request)
    return half


def _closed(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()
