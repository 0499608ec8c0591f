"""Clients' webhook endpoints: one server, many paths, each with manners of its own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cleaning_up import clean_up
from engine_upstream import Respond, answers
from multidict import CIMultiDictProxy

ENDINGS = {"completed", "failed"}


@dataclass(frozen=True)
class Webhook:
    path: str
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def ends(self) -> bool:
        return self.body["status"] in ENDINGS


@dataclass
class Receivers:
    """`manners` by path; everything else gets 204. `webhooks` are kept in order of arrival."""

    url: str = ""
    webhooks: list[Webhook] = field(default_factory=list)
    manners: dict[str, Respond] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    in_flight_max: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        webhook = Webhook(request.path, request.headers, await request.read())
        self.webhooks.append(webhook)
        job = webhook.body["jobId"]
        self.in_flight[job] = self.in_flight.get(job, 0) + 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight[job])
        try:
            return await self.manners.get(request.path, answers(204))(request)
        finally:
            self.in_flight[job] -= 1

    def of(self, job_id: str) -> list[Webhook]:
        return [one for one in self.webhooks if one.body["jobId"] == job_id]

    def at(self, path: str) -> list[Webhook]:
        return [one for one in self.webhooks if one.path == path]

    @property
    def endings(self) -> list[Webhook]:
        return [one for one in self.webhooks if one.ends]


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    one = Receivers()
    app = web.Application()
    app.router.add_post("/{path:.*}", one.handle)
    # A request ends, as a receiver counts it, when the caller hangs up.
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await clean_up(runner)
