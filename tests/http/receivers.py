"""A client's webhook endpoint: keeps what it was sent, byte for byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cleaning_up import clean_up
from multidict import CIMultiDictProxy


@dataclass(frozen=True)
class Webhook:
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Receiver:
    url: str = ""
    status: int = 200
    answer: str = '{"ok": true}'
    webhooks: list[Webhook] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.Response:
        webhook = Webhook(request.headers, await request.read())
        async with self._arrived:
            self.webhooks.append(webhook)
            self._arrived.notify_all()
        return web.Response(status=self.status, text=self.answer)

    async def first(self, wanted: Callable[[Webhook], bool]) -> Webhook:
        """Wait for the first webhook that is wanted."""

        def found() -> Webhook | None:
            return next(filter(wanted, self.webhooks), None)

        async with self._arrived, asyncio.timeout(60):
            return await self._arrived.wait_for(found)  # type: ignore[arg-type] # any truth will do

    async def ending(self, job_id: str) -> Webhook:
        """Wait for the job's terminal webhook."""
        endings = {"completed", "failed"}
        return await self.first(
            lambda one: one.body["jobId"] == job_id and one.body["status"] in endings
        )


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield one
    finally:
        await clean_up(runner)
